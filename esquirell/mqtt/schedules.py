"""Schedules as they are published: a retained state each, and an event when one changes."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from esquirell.mqtt.client import Connection
from esquirell.mqtt.link import Message
from esquirell.mqtt.publisher import MqttPublisher
from esquirell.mqtt.topics import Topics

log = logging.getLogger(__name__)

States = Mapping[str, Mapping[str, Any]]
# What is another one after each change, and what tells of the last run of each schedule.
Version = tuple[str, Mapping[str, str]]

# What changes with each run is no change of the schedule.
_OF_RUNS = ("last_run_at", "next_run_at", "last_result")


class ScheduleStates:
    """Publishes what `states` gives, and clears what is there no more."""

    def __init__(
        self,
        connection: Connection,
        topics: Topics,
        publisher: MqttPublisher,
        states: Callable[[], States],
    ) -> None:
        self._connection = connection
        self._topics = topics
        self._publisher = publisher
        self._states = states
        self._lock = threading.Lock()
        self._found: deque[str] = deque()
        self._known: dict[str, Mapping[str, Any]] = {}
        self.gone: set[str] = set()

    def start(self) -> None:
        """Listen for the states of schedules that an earlier process left on the broker."""
        self._connection.subscribe(self._topics.all_schedules, self._find, qos=0, own=False)

    @property
    def known(self) -> States:
        """The schedules as published last."""
        return self._known

    def is_quick(self, name: str, seconds: float) -> bool:
        """Tell whether a schedule runs more often than every so many seconds."""
        every = self._known.get(name, {}).get("every")
        return every is not None and every < seconds

    @property
    def strangers(self) -> bool:
        """Tell whether the broker holds a schedule that was not published here."""
        return bool(self._found)

    def publish(self, announce: Callable[[], None]) -> None:
        """Publish all states; `announce` tells Home Assistant when schedules came or went.

        Raises UnavailableError.
        """
        with self._lock:
            states = self._states()
            before, self._known = self._known, dict(states)
            known = before.keys() | self._take_found()
            self.gone = (self.gone | known) - states.keys()
            for name, state in states.items():
                self._connection.retain(self._topics.schedule_state(name), state)
            # After the states that new controls want to see, before those go that old ones read.
            announce()
            for name in known - states.keys():
                self._connection.retain(self._topics.schedule_state(name), None)
            self._tell(before, states)

    def _take_found(self) -> set[str]:
        return {self._found.popleft() for _ in range(len(self._found))}

    def _tell(self, before: States, after: States) -> None:
        """Tell what was changed, but not that everything is new after a start."""
        for name in before.keys() | after.keys() if before else ():
            if _definition(before.get(name)) != _definition(after.get(name)):
                data = {"name": name, "schedule": after.get(name)}
                self._publisher.event("schedule_changed", data)

    def _find(self, message: Message) -> None:
        name = self._topics.schedule_of(message.topic)
        if message.retained and message.payload and name not in self._known:
            self._found.append(name)


def _definition(state: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if state is None:
        return None
    return {key: value for key, value in state.items() if key not in _OF_RUNS}
