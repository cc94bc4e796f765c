"""Commands over MQTT: handled in order, answered where requested, then acknowledged."""

import logging
import queue
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from esquirell.domain.command import Answer, CommandRecord, Request
from esquirell.domain.errors import CommandError, EsquirellError, UnavailableError
from esquirell.domain.payload import read_json
from esquirell.mqtt.client import Connection
from esquirell.mqtt.link import Message
from esquirell.mqtt.topics import Topics

log = logging.getLogger(__name__)

# How often to look whether a job has ended: just after it was accepted, then later on.
LOOK_S = 0.02
HURRY_S = 3.0
LOOK_RARELY_S = 0.5
TIDY_S = 30.0
TOO_LARGE = Answer(
    "error", {}, "the answer is larger than the MQTT broker takes", "too_large"
).payload()


class JobResults(Protocol):
    """The results of jobs, as they are recorded."""

    def unanswered(self) -> list[CommandRecord]:
        """Return the jobs whose result was not answered, ended or not. Raises UnavailableError."""

    def answered(self, command_id: str) -> None:
        """Record that the result was answered. Raises UnavailableError."""

    def tidy(self) -> None:
        """End what was lost. Raises UnavailableError."""


class Requests:
    """Receives commands on their topics and passes them to `handle`, one after the other."""

    def __init__(
        self,
        connection: Connection,
        topics: Topics,
        handle: Callable[[Request], Answer],
        results: JobResults,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._topics = topics
        self._handle = handle
        self._results = results
        self._monotonic = monotonic
        self._inbox: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        # The end of what was asked for before a restart is answered after it.
        self._waiting = True
        self._hurry_until = 0.0
        self._look_at = 0.0
        self._tidy_pace = Pace(TIDY_S)

    def start(self) -> None:
        """Subscribe to commands; call once, before the connection starts."""
        for topic_filter in self._topics.command_filters:
            self._connection.subscribe(topic_filter, self._inbox.put, keeps=True)

    def run_once(self) -> float:
        """Handle the next command, and answer finished jobs; return the time to wait in seconds."""
        try:
            message = self._inbox.get(timeout=max(self._look_at - self._monotonic(), LOOK_S))
        except queue.Empty:
            message = None
        if message is not None:
            self._handle_message(message)
            self._connection.acknowledge(message)
        if self._monotonic() >= self._look_at:
            self._look()
        return 0.0

    def hurry(self) -> None:
        """End a round that waits; from any thread."""
        self._inbox.put(None)

    def _look(self) -> None:
        """Look for finished jobs: often just after one was accepted, then less often."""
        if self._connection.connected:
            self._answer_ends()
        now = self._monotonic()
        rarely = LOOK_RARELY_S if self._waiting else TIDY_S
        self._look_at = now + (LOOK_S if now < self._hurry_until else rarely)

    def _handle_message(self, message: Message) -> None:
        if message.retained:
            log.warning(
                "a retained command on %s was not run: publish commands without retain",
                message.topic,
            )
            return
        command, fields = self._topics.command_of(message.topic)
        reply = self._reply(message, command)
        answer = self._answer(message, command, fields, reply)
        if answer.status == "accepted":
            now = self._monotonic()
            self._waiting, self._look_at, self._hurry_until = True, now, now + HURRY_S
        self._send(reply, answer)

    def _answer(
        self, message: Message, command: str, fields: dict[str, Any], reply: dict[str, Any]
    ) -> Answer:
        """Run a command; fill in the transaction to echo on the way."""
        try:
            data = _read(message.payload, command, fields)
            reply["transaction"] = data.get("transaction")
            self._check_reply(message)
            _check_name(data, fields)
        except EsquirellError as error:
            return Answer("error", {}, str(error), error.code)
        about = self._topics.subject_of(message.topic)
        return self._handle(Request("mqtt", command, data | fields, reply, about))

    def _reply(self, message: Message, command: str) -> dict[str, Any]:
        """Choose the topic of the answer."""
        topic, correlation = self._topics.response(command), b""
        if message.reply_to is not None and self._topics.may_answer(message.reply_to):
            topic, correlation = message.reply_to, message.correlation or b""
        return {"topic": topic, "correlation": correlation.hex(), "transaction": None}

    def _check_reply(self, message: Message) -> None:
        """Reject a forbidden response topic. Raises CommandError."""
        if message.reply_to is not None and not self._topics.may_answer(message.reply_to):
            raise CommandError(
                "invalid_payload",
                "this response topic can't be used: it must contain no wildcard and lie outside "
                f"{self._topics.base}/, {self._topics.discovery_prefix or '$'}/ and $",
            )

    def _send(self, reply: Mapping[str, Any], answer: Answer) -> None:
        payload = answer.payload()
        if reply["transaction"] is not None:
            payload["transaction"] = reply["transaction"]
        correlation = bytes.fromhex(reply["correlation"])
        self._connection.answer(reply["topic"], payload, correlation, payload | TOO_LARGE)

    def _answer_ends(self) -> None:
        """Answer finished jobs."""
        try:
            if self._tidy_pace.due(self._monotonic()):
                self._results.tidy()
            records = self._results.unanswered()
            for record in records:
                if record.answer and record.reply:
                    self._answer_end(record.reply, record.answer)
                    self._results.answered(record.id)
        except UnavailableError as error:
            log.debug("results of jobs can't be answered yet: %s", error)
            return
        self._waiting = any(record.answer is None for record in records)

    def _answer_end(self, reply: Mapping[str, Any], answer: Answer) -> None:
        try:
            self._send(reply, answer)
        except (TypeError, ValueError):
            log.exception("the result of a command could not be encoded")
            sentence = "its result can't be written as JSON"
            self._send(reply, Answer("error", {}, sentence, "internal"))


def _read(payload: bytes, command: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Read a payload; where it may be anything, only the transaction is used."""
    if not (fields and command in ("fetch", "schedule/run")):
        return read_json(payload)
    try:
        data = read_json(payload)
    except CommandError as error:
        if error.code == "too_large":
            raise
        return {}
    return {key: data[key] for key in ("transaction",) if key in data}


def _check_name(data: dict[str, Any], fields: dict[str, Any]) -> None:
    """Reject a payload that names a different schedule than its topic. Raises CommandError."""
    name = fields.get("name")
    if name is not None and data.get("name", name) != name:
        raise CommandError("invalid_payload", "name: the topic names another schedule")


class Pace:
    """Due at once, then every `seconds`; on a monotonic clock that the caller reads."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0

    def due(self, now: float) -> bool:
        """Return whether it is time, and restart the period if it is."""
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True
