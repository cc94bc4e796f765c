"""Watching from outside: what any MQTT client could see."""

import threading
import time
import uuid
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Self

from esquirell.demo.plan import DemoError
from esquirell.domain.payload import read_foreign
from esquirell.domain.record import record
from esquirell.runtime.unconfigured import Connection, Message, Topics

ANSWER_S = 10.0
LOOK_S = 0.05
GOODBYE_S = 1.0
KEPT = 50


@record
class TimedMessage:
    """A message, and when it arrived (local time)."""

    at: datetime
    topic: str
    payload: str


@record
class WatchState:
    """What was seen so far: each meter's last state, readings and messages counted."""

    states: Mapping[str, Mapping[str, Any]]
    readings: int
    messages: int
    last: tuple[TimedMessage, ...]


class Watch:
    """Subscribes to everything that the service publishes under its base topic.

    With `echo` it makes sure that the broker passes on published messages.
    """

    def __init__(
        self, connection: Connection, topics: Topics, where: str, *, echo: bool = True
    ) -> None:
        self._topics = topics
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self._states: dict[str, Mapping[str, Any]] = {}
        self._readings = 0
        self._messages = 0
        self._last: deque[TimedMessage] = deque(maxlen=KEPT)
        self._where = where
        self._connection = connection
        self._echo = echo
        self._own = f"{topics.base}-watch/{uuid.uuid4().hex}"
        if echo:
            self._connection.subscribe(self._own, lambda _: self._ready.set())
        self._connection.subscribe(f"{self._topics.base}/#", self._note)

    def sight(self) -> WatchState:
        """Return what was seen so far."""
        with self._lock:
            return WatchState(dict(self._states), self._readings, self._messages, tuple(self._last))

    def __enter__(self) -> Self:
        """Connect, and wait for a message of our own: from then on everything is seen.

        Raises DemoError when the broker does not return it.
        """
        self._connection.start()
        if not self._echo:
            self._await_connection()
            return self
        self._connection.publish(self._own, {})
        if not self._ready.wait(ANSWER_S):
            raise DemoError(f"the MQTT broker at {self._where} does not pass on what is published")
        return self

    def _await_connection(self) -> None:
        deadline = time.monotonic() + ANSWER_S
        while not self._connection.connected:
            if time.monotonic() > deadline:
                raise DemoError(
                    f"the MQTT broker at {self._where} can't be reached: run esquirell doctor"
                )
            time.sleep(LOOK_S)

    def __exit__(self, *_: object) -> None:
        self._connection.stop(GOODBYE_S)

    def _note(self, message: Message) -> None:
        text = message.payload.decode("utf-8", errors="replace")
        with self._lock:
            self._messages += 1
            self._last.append(TimedMessage(datetime.now(UTC).astimezone(), message.topic, text))
            meter = self._topics.meter_of(message.topic)
            if message.topic == self._topics.meter_state(meter):
                self._note_state(meter, text)

    def _note_state(self, meter: str, text: str) -> None:
        """Count a reading once: on a new connection the last state is sent again."""
        state = _state(text)
        last = self._states.get(meter, {"measured_at": ""})
        if state and state["measured_at"] > last["measured_at"]:
            self._states[meter] = state
            self._readings += 1


def _state(text: str) -> dict[str, Any] | None:
    """Parse a state; anybody may publish anything there."""
    state = read_foreign(text)
    return state if isinstance(state.get("measured_at"), str) else None
