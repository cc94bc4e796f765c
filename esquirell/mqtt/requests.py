"""Commands over MQTT: taken in order, answered where the asker listens, then acknowledged."""

import logging
import queue
import time
from collections.abc import Callable
from typing import Any, Protocol

from esquirell.domain.command import Answer, CommandRecord, Request
from esquirell.domain.errors import CommandError, EsquirellError, UnavailableError
from esquirell.domain.requests import check_known, read_json
from esquirell.mqtt.client import Connection
from esquirell.mqtt.link import Message
from esquirell.mqtt.pace import Pace
from esquirell.mqtt.topics import Topics

log = logging.getLogger(__name__)

IDLE_S = 1.0
# How often to look whether long work has ended, while there is some.
LOOK_S = 0.02
TIDY_S = 10.0


class Ends(Protocol):
    """Tells how long work ended."""

    def unanswered(self) -> list[CommandRecord]:
        """Give the commands whose end was not told, ended or not. Raises UnavailableError."""
        ...

    def answered(self, command_id: str) -> None:
        """Note that the end was told. Raises UnavailableError."""
        ...

    def tidy(self) -> None:
        """End what was lost. Raises UnavailableError."""
        ...


class Requests:
    """Takes commands from their topics and gives them to `handle`, one after the other."""

    def __init__(
        self,
        connection: Connection,
        topics: Topics,
        handle: Callable[[Request], Answer],
        ends: Ends,
    ) -> None:
        self._connection = connection
        self._topics = topics
        self._handle = handle
        self._ends = ends
        self._inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        # Who asked before a restart is told the end after it.
        self._waiting = True
        self._tidy_pace = Pace(TIDY_S)

    def start(self) -> None:
        """Listen for commands; call once, before the connection starts."""
        for topic_filter in self._topics.command_filters:
            self._connection.subscribe(topic_filter, self._inbox.put, keeps=True)

    def turn(self) -> float:
        """Deal with the next command, or tell the ends of long work; give no time to wait."""
        try:
            looking = self._waiting and self._connection.connected
            message = self._inbox.get(timeout=LOOK_S if looking else IDLE_S)
        except queue.Empty:
            self._tell_ends()
        else:
            self._deal_with(message)
            self._connection.acknowledge(message)
        return 0.0

    def _deal_with(self, message: Message) -> None:
        if message.retained:
            log.warning(
                "a retained command on %s was not run: publish commands without retain",
                message.topic,
            )
            return
        command, fields = self._topics.command_of(message.topic)
        transaction: object = None
        try:
            check_known(command)
            data = _data(message, command, fields)
            transaction = data.get("transaction")
            reply = self._reply(message, command, transaction)
            answer = self._handle(Request("mqtt", command, data, reply))
        except EsquirellError as error:
            reply = self._reply_by_default(command, transaction)
            answer = Answer("error", {}, str(error), error.code)
        self._waiting = self._waiting or answer.status == "accepted"
        self._send(reply, answer)

    def _reply(self, message: Message, command: str, transaction: object) -> dict[str, Any]:
        """Choose where the answer goes. Raises CommandError for a topic that is not to be used."""
        if message.reply_to is None:
            return self._reply_by_default(command, transaction)
        if not self._topics.may_answer(message.reply_to):
            raise CommandError(
                "invalid_payload",
                "this response topic can't be used: it must hold no wildcard and lie outside "
                f"{self._topics.base}/, {self._topics.discovery_prefix or '$'}/ and $",
            )
        correlation = (message.correlation or b"").hex()
        return {"topic": message.reply_to, "correlation": correlation, "transaction": transaction}

    def _reply_by_default(self, command: str, transaction: object) -> dict[str, Any]:
        topic = self._topics.response(command)
        return {"topic": topic, "correlation": "", "transaction": transaction}

    def _send(self, reply: dict[str, Any], answer: Answer) -> None:
        payload = answer.payload()
        if reply["transaction"] is not None:
            payload["transaction"] = reply["transaction"]
        self._connection.answer(reply["topic"], payload, bytes.fromhex(reply["correlation"]))

    def _tell_ends(self) -> None:
        """Answer those whose long work has ended; while the broker is away they wait."""
        if not self._connection.connected:
            return
        try:
            if self._tidy_pace.due(time.monotonic()):
                self._ends.tidy()
            records = self._ends.unanswered()
            for record in records:
                if record.answer and record.reply:
                    self._send(dict(record.reply), record.answer)
                    self._ends.answered(record.id)
        except UnavailableError as error:
            log.debug("the ends of commands can't be told yet: %s", error)
            return
        self._waiting = any(record.answer is None for record in records)


def _data(message: Message, command: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Read what a command was given, by its payload and by its topic."""
    if command in ("fetch", "schedule/run") and fields:
        return _transaction(message.payload) | fields
    data = read_json(message.payload)
    name = fields.get("name")
    if name is not None and data.get("name", name) != name:
        raise CommandError("invalid_payload", "name: the topic names another schedule")
    return data | fields


def _transaction(payload: bytes) -> dict[str, Any]:
    """Take the transaction from a payload that may be anything."""
    try:
        data = read_json(payload)
    except CommandError as error:
        if error.code == "too_large":
            raise
        return {}
    return {"transaction": data["transaction"]} if "transaction" in data else {}
