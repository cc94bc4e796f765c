"""One connection to the broker, from opening to end, and its callbacks."""

import logging
import select
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from esquirell.domain.record import record
from esquirell.mqtt import reasons
from esquirell.mqtt.options import Options, Will
from esquirell.mqtt.outbox import Outgoing
from esquirell.mqtt.paho_client import client_of, connect

if TYPE_CHECKING:
    from paho.mqtt.client import SocketLike

log = logging.getLogger(__name__)

CONFIRM_LIMIT_S = 60.0
IN_FLIGHT_LIMIT = 20


@record
class Message:
    """A message from the broker.

    `retained` marks a retained one; `reply_to` and `correlation` are the response topic and the
    correlation data of a request over MQTT 5; `again` means that the broker may have sent it
    before. `number` and `link` are what an acknowledgement needs.
    """

    topic: str
    payload: bytes
    retained: bool
    reply_to: str | None = None
    correlation: bytes | None = None
    again: bool = False
    number: int = 0
    link: "Link | None" = None


@record
class Failure:
    """Why a connection ended or could not be opened, in one sentence; empty if nothing failed.

    A broker that `said_nothing` may speak another protocol, be slow, or about to start.
    """

    sentence: str = ""
    speaks_another_protocol: bool = False
    said_nothing: bool = False
    refuses_credentials: bool = False


NO_FAILURE = Failure()


class Link:
    """One connection, used by one thread.

    Each connection has its own paho client: paho would send what an earlier one left unconfirmed
    after newer messages, so an old state would overwrite a new one. `receive` gets each message,
    `confirmed` each one that the broker took, with the seconds that this lasted.
    """

    def __init__(
        self,
        options: Options,
        context: ssl.SSLContext | None,
        receive: Callable[[Message], None],
        confirmed: Callable[[Outgoing, float], None] = lambda _message, _seconds: None,
        *,
        will: Will | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options
        self._receive = receive
        self._confirmed = confirmed
        self._clock = clock
        self._in_flight: dict[int, tuple[Outgoing, float]] = {}
        self._limit = IN_FLIGHT_LIMIT
        self._opened = clock()
        self._sleeper, self._waker = socket.socketpair()
        self._sleeper.settimeout(0)
        self._waker.settimeout(0)
        self._woken = False
        self._poll = select.poll()
        self._poll.register(self._sleeper, select.POLLIN)
        # What the line is polled for.
        self._wanted = 0
        self._client = client_of(options, context, will)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._given_up = False
        self.accepted = False
        self.resumed = False
        self.largest_packet: int | None = None
        self.failure = NO_FAILURE
        # Topics that the broker does not let us publish to, with the moment of the last refusal by
        # the clock, and filters that it rejects, until it accepts them.
        self.denied: dict[str, float] = {}
        self.unreadable: set[str] = set()
        # Subscriptions that are not answered yet, and since when.
        self._asked_for: dict[int, tuple[str, float]] = {}

    def open(self) -> None:
        """Connect; the broker's answer comes in a later round."""
        try:
            connect(self._client, self._options)
        except (OSError, ValueError) as error:  # paho's ValueError: an invalid host name
            self.failure = Failure(reasons.unreachable(error, self._options))
        self._opened = self._clock()

    def run_once(self, timeout: float) -> None:
        """Read and write what is pending; wait up to `timeout` seconds or until woken."""
        line = self._client.socket()
        if line is None:
            return
        decrypted = isinstance(line, ssl.SSLSocket) and line.pending() > 0
        readable, writable = self._wait(line, 0 if decrypted else timeout)
        if decrypted or readable:
            self._client.loop_read()
        if writable:
            self._client.loop_write()
        self._client.loop_misc()
        if not self.accepted and self._clock() - self._opened > self._options.waits.answer_s:
            self._give_up(_silent(reasons.silent(self._options)))
        elif self.unconfirmed_s > CONFIRM_LIMIT_S:
            self._give_up(Failure(reasons.unconfirmed(self._options)))

    def wake(self) -> None:
        """End the wait of `run_once`; callable from other threads, also after the end."""
        # Once is enough: the woken thread sends everything pending.
        if not self._woken:
            self._woken = True
            with suppress(OSError):  # closed: no caller waits
                self._waker.send(b"\0")

    def send(self, message: Outgoing) -> None:
        """Send a message, to be confirmed by the broker."""
        info = self._client.publish(
            message.topic, message.payload, 1, message.retained, self._properties(message)
        )
        self._in_flight[info.mid] = message, self._clock()

    def ask(self, topic: str, payload: bytes) -> None:
        """Send a message that the broker neither confirms nor keeps."""
        self._client.publish(topic, payload, 0)

    def acknowledge(self, message: Message) -> bool:
        """Acknowledge a handled message; return whether that could be sent."""
        return self._client.ack(message.number, 1) == MQTTErrorCode.MQTT_ERR_SUCCESS

    def subscribe(
        self, topic_filter: str, qos: int, *, own: bool, as_published: bool = False
    ) -> None:
        """Subscribe to a filter; messages that were retained before are marked as such.

        With `as_published` (MQTT 5) also those that are published to be retained.
        """
        if self._options.protocol == "5":
            options = SubscribeOptions(qos, noLocal=not own, retainAsPublished=as_published)
            _, number = self._client.subscribe(topic_filter, options=options)
        else:
            _, number = self._client.subscribe(topic_filter, qos)
        if number is not None:
            self._asked_for[number] = topic_filter, self._clock()

    def close(self, *, done: bool) -> None:
        """End the connection: with DISCONNECT if all is done, else so that the will is sent."""
        if done:
            self._client.disconnect()
        if line := self._client.socket():
            line.close()
        self._sleeper.close()
        self._waker.close()

    @property
    def up(self) -> bool:
        """Whether the connection is open, or may still be established."""
        return self._client.socket() is not None and not self._given_up

    @property
    def has_room(self) -> bool:
        """Whether the broker accepts another message before it confirms one."""
        return len(self._in_flight) < self._limit

    @property
    def unconfirmed(self) -> tuple[Outgoing, ...]:
        """The messages that the broker has not confirmed, oldest first."""
        return tuple(message for message, _ in list(self._in_flight.values()))

    @property
    def unconfirmed_s(self) -> float:
        """For how many seconds the oldest of them has been waiting; 0 if there is none."""
        # Other threads ask as well: a list is created in one step.
        waiting = list(self._in_flight.values())
        return self._clock() - waiting[0][1] if waiting else 0.0

    @property
    def unanswered_s(self) -> float:
        """For how many seconds the oldest subscription waits for its answer; 0 if none does.

        That ends no connection: what is published arrives all the same.
        """
        waiting = list(self._asked_for.values())
        return self._clock() - waiting[0][1] if waiting else 0.0

    def _give_up(self, failure: Failure) -> None:
        if not self.failure.sentence:
            self.failure = failure
        self._given_up = True

    def _wait(self, line: "SocketLike", timeout: float) -> tuple[bool, bool]:
        """Wait at most `timeout` seconds; return whether the socket is readable, and writable."""
        # Not with select, which is limited to 1024 open files: each meter may take two.
        wanted = select.POLLIN | (select.POLLOUT if self._client.want_write() else 0)
        if wanted != self._wanted:
            self._poll.register(line, wanted)
            self._wanted = wanted
        found = dict(self._poll.poll(timeout * 1000))
        if self._sleeper.fileno() in found:
            self._sleeper.recv(4096)
            self._woken = False
        events = found.get(line.fileno(), 0)
        # Reading detects that it broke.
        return bool(events & ~select.POLLOUT), bool(events & select.POLLOUT)

    def _on_connect(
        self,
        _c: Client,
        _u: object,
        flags: ConnectFlags,
        code: ReasonCode,
        extra: Properties | None,
    ) -> None:
        if code.is_failure:
            self.failure = Failure(
                reasons.refused(code, self._options),
                speaks_another_protocol=reasons.is_protocol_refused(code),
                refuses_credentials=reasons.are_credentials_refused(code),
            )
            return
        self.accepted = True
        self.resumed = flags.session_present
        self.largest_packet = getattr(extra, "MaximumPacketSize", None)
        self._limit = min(IN_FLIGHT_LIMIT, getattr(extra, "ReceiveMaximum", IN_FLIGHT_LIMIT))

    def _on_disconnect(
        self, _c: Client, _u: object, _f: DisconnectFlags, code: ReasonCode, _p: Properties | None
    ) -> None:
        if self.accepted:
            self.failure = Failure(reasons.lost(code, self._options))
        elif not self.failure.sentence:
            self.failure = _silent(reasons.hung_up(self._options))

    def _on_publish(
        self, _c: Client, _u: object, mid: int, code: ReasonCode, _p: Properties | None
    ) -> None:
        found = self._in_flight.pop(mid, None)
        if found is None:
            return
        message, sent = found
        if not code.is_failure:
            self.denied.pop(message.topic, None)
            self._confirmed(message, self._clock() - sent)
            return
        if message.topic not in self.denied:
            log.warning(
                "%s does not let us publish %s: %s", self._options.where, message.topic, code
            )
        self.denied[message.topic] = self._clock()

    def _on_subscribe(
        self, _c: Client, _u: object, mid: int, codes: list[ReasonCode], _p: Properties | None
    ) -> None:
        topic_filter, _ = self._asked_for.pop(mid, ("", 0.0))
        for code in codes:
            if not code.is_failure:
                self.unreadable.discard(topic_filter)
            elif topic_filter not in self.unreadable:
                self.unreadable.add(topic_filter)
                log.warning(
                    "%s does not let us subscribe to %s: %s",
                    self._options.where,
                    topic_filter,
                    code,
                )

    def _on_message(self, client: Client, _userdata: object, message: MQTTMessage) -> None:
        try:
            self._receive(self._read(message))
        except UnicodeDecodeError:
            log.debug("ignored a message on a topic that is not UTF-8")
            client.ack(message.mid, message.qos)

    def _read(self, message: MQTTMessage) -> Message:
        return Message(
            message.topic,
            bytes(message.payload),
            message.retain,
            getattr(message.properties, "ResponseTopic", None),
            getattr(message.properties, "CorrelationData", None),
            message.dup,
            message.mid if message.qos else 0,
            self,
        )

    def _properties(self, message: Outgoing) -> Properties | None:
        if not message.correlation or self._options.protocol != "5":
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # untyped
        properties.CorrelationData = message.correlation
        return properties


def _silent(sentence: str) -> Failure:
    return Failure(sentence, speaks_another_protocol=True, said_nothing=True)
