"""Celery's transport over Redis, with less work per message and between messages."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from multiprocessing.util import Finalize
from typing import Any, cast

from kombu import Connection
from kombu.asynchronous import Hub
from kombu.asynchronous.timer import Entry
from kombu.transport.redis import Channel as RedisChannel
from kombu.transport.redis import QoS as RedisQoS
from kombu.transport.redis import Transport as RedisTransport
from kombu.transport.virtual import Message
from kombu.transport.virtual import QoS as VirtualQoS
from kombu.utils.json import dumps

from esquirell.broker.connection import QUIET, Client, RedisError
from esquirell.broker.queue import KEY_PREFIX

log = logging.getLogger(__name__)

# kombu polls every second; a message arrives at once however long a worker waits for it. On
# shutdown the current wait has to run out, or a message that it returns would be lost. Who
# collects answers changes what it waits for, so that keeps kombu's interval.
WAIT_S = 3
# Well within the time after which another worker takes over our messages (VISIBILITY_S).
STILL_HERE_EVERY_S = 60
SAY_EVERY_S = 60.0
# kombu checks every second whether bindings need renewal, which is due after many minutes: that
# wakes an otherwise idle loop.
BINDINGS_EVERY_S = 60
MANY_HELD = 64


# Raised when an invalid message is read; RecursionError if it is nested too deeply.
MALFORMED = (ValueError, TypeError, AttributeError, LookupError, RecursionError)


class DiscardedMessages:
    """Logs discarded messages: the first, then how many per minute."""

    def __init__(self) -> None:
        self._said_at = float("-inf")
        self._unsaid = 0

    def note(self, sentence: str, error: Exception) -> None:
        """Record that something was discarded, and why."""
        if time.monotonic() - self._said_at < SAY_EVERY_S:
            self._unsaid += 1
            return
        more = f", and {self._unsaid} others before" if self._unsaid else ""
        log.warning("%s, and is discarded (%s)%s", sentence, type(error).__name__, more)
        self._said_at, self._unsaid = time.monotonic(), 0


DISCARDED = DiscardedMessages()

# A message to be pushed to a Redis list: the key and the content.
Unsent = tuple[str, str]
_collected: ContextVar[list[Unsent] | None] = ContextVar("collected", default=None)


@contextmanager
def collected() -> Iterator[list[Unsent]]:
    """Collect messages sent meanwhile, for a caller that writes them together with other data."""
    found: list[Unsent] = []
    token = _collected.set(found)
    try:
        yield found
    finally:
        _collected.reset(token)


class QoS(RedisQoS):
    """Tracks the messages that were taken and not acknowledged yet.

    kombu returns a message to the queue when its worker has had it for `visibility_timeout`
    seconds, whether or not the worker is alive: a retry in ten minutes, or a task that waits behind
    a long one, would run twice.
    """

    channel: "Channel"
    unacked_index_key: str
    visibility_timeout: int
    _on_collect: Finalize

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - kombu's
        super().__init__(*args, **kwargs)
        self._brief: set[str] = set()

    def append(self, message: Message, delivery_tag: str) -> None:
        """Record in Redis that a message was taken, unless it expires before its redelivery."""
        if _is_brief(message, self.visibility_timeout):
            self._brief.add(delivery_tag)
            VirtualQoS.append(self, message, delivery_tag)
        else:
            super().append(message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Record that a message was taken for good."""
        if delivery_tag in self._brief:
            self._brief.discard(delivery_tag)
            VirtualQoS.ack(self, delivery_tag)
        else:
            super().ack(delivery_tag)

    def acknowledges_here(self, delivery_tag: str) -> bool:
        """Whether any thread may acknowledge a message, without a word to Redis or to the loop.

        When many are held the loop may wait for one to be acknowledged: then it has to wake up.
        """
        held = len(self._delivered or ()) - len(self._dirty or ())
        return delivery_tag in self._brief and 2 * held <= (self.prefetch_count or MANY_HELD)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Discard a message, or return it."""
        if requeue:
            self._write_down(delivery_tag)
        self._brief.discard(delivery_tag)
        super().reject(delivery_tag, requeue=requeue)

    def restore_unacked(self, client: Client | None = None) -> None:
        """Return everything taken and not started: this worker ends."""
        for delivery_tag in list(self._delivered or ()):
            self._write_down(delivery_tag)
        super().restore_unacked(client)

    def _write_down(self, delivery_tag: str) -> None:
        """Record in Redis, from where it is returned, what was not recorded there."""
        if delivery_tag in self._brief:
            self._brief.discard(delivery_tag)
            super().append(self.get(delivery_tag), delivery_tag)

    def restore_visible(self, start: int = 0, num: int = 10, interval: int = 10) -> None:
        """Return messages that a dead worker took: mostly there are none, which one query shows.

        kombu takes a lock first, and the loop waits for each answer.
        """
        until = time.time() - self.visibility_timeout
        with self.channel.conn_or_acquire() as client:
            due = client.zrange(self.unacked_index_key, 0, until, byscore=True, offset=0, num=1)
        if due:
            super().restore_visible(start, num, interval)

    def restore_unacked_once(self, stderr: object = None) -> None:
        """Return taken messages if there is a connection; otherwise they come back after a timeout.

        kombu tries it over a connection that it has just discarded, which ends a worker.
        """
        connection = self.channel.connection
        if connection is not None and connection.client is not None:
            super().restore_unacked_once(stderr)
        else:
            # Otherwise this is tried, and held, until the process ends.
            self._on_collect.cancel()

    def still_here(self) -> None:
        """Record in Redis that the worker that took these messages is alive."""
        now = time.time()
        if mine := dict.fromkeys(list(self._delivered or ()), now):
            with self.channel.conn_or_acquire() as client:
                client.zadd(self.unacked_index_key, mine, xx=True)


class Channel(RedisChannel):
    """Keeps one client: kombu creates three per message, which costs as much as sending it."""

    QoS = QoS
    brpop_timeout: int
    _q_for_pri: Callable[[str, int], str]
    _get_message_priority: Callable[..., int]
    _kept: Client | None = None

    def basic_consume(self, queue: str, *args: Any, **kwargs: Any) -> str:  # noqa: ANN401 - kombu's
        """Consume a queue; a message that the worker can't understand is discarded."""
        callback = kwargs["callback"]

        def guarded(message: Message) -> object:
            try:
                return callback(message)
            except MALFORMED as error:
                DISCARDED.note(f"a message in {queue} is not one that a worker understands", error)
                message.reject()
                return None

        return str(super().basic_consume(queue, *args, **(kwargs | {"callback": guarded})))

    def _put(self, queue: str, message: dict[str, Any], **kwargs: Any) -> None:  # noqa: ANN401 - kombu's
        """Put a message into its queue, or where messages are collected."""
        found = _collected.get()
        if found is None:
            super()._put(queue, message, **kwargs)
            return
        priority = self._get_message_priority(message, reverse=False)
        found.append((KEY_PREFIX + self._q_for_pri(queue, priority), dumps(message)))

    def _brpop_read(self, **options: object) -> bool:
        try:
            return bool(super()._brpop_read(**options))  # type: ignore[misc]  # untyped
        except MALFORMED as error:
            DISCARDED.note("something in a queue is not a message", error)
            return True

    def _receive(self) -> bool:
        try:
            return bool(super()._receive())  # type: ignore[misc]  # untyped
        except MALFORMED as error:
            DISCARDED.note("something sent to all workers is not a message", error)
            return True

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        found: dict[str, Any] = super()._connparams(asynchronous=asynchronous)  # type: ignore[misc]  # untyped
        return found | QUIET

    def _create_client(self, asynchronous: bool = False) -> Client:
        if asynchronous:
            return self._made(asynchronous=True)
        # After an outage of Redis there is a new pool.
        if self._kept is None or self._kept.connection_pool is not self.pool:
            self._kept = self._made(asynchronous=False)
        return self._kept

    def _made(self, *, asynchronous: bool) -> Client:
        return super()._create_client(asynchronous)  # type: ignore[misc, no-any-return]  # untyped


def _is_brief(message: Message, within_s: float) -> bool:
    """Whether a task expires before a message taken now would be redelivered."""
    try:
        expires = datetime.fromisoformat(message.headers["expires"])
        return expires < datetime.now(UTC) + timedelta(seconds=within_s)
    except (KeyError, TypeError, ValueError):
        return False


class Transport(RedisTransport):
    """kombu's own, with our channel, and longer waits in a worker's loop.

    A refusal by Redis (read-only, out of memory, no rights) is treated like a lost connection:
    connect again, later. kombu considers it a programming error, which ends a worker.
    """

    Channel = Channel
    connection_errors = (*RedisTransport.connection_errors, RedisError)
    _reminder: Entry | None = None
    _of_loop: set[object]
    _loop_callbacks: frozenset[object] = frozenset()

    def create_channel(self, connection: Connection) -> RedisChannel:
        """Open a channel; in a worker's loop it waits longer for messages."""
        channel = cast("Channel", super().create_channel(connection))
        if self._reminder is not None:
            channel.brpop_timeout = WAIT_S
        return channel

    def close_connection(self, connection: Connection) -> None:
        """Close it, and take what it does at each round from the loop: kombu leaves that there."""
        for callback in self._loop_callbacks:
            self._of_loop.discard(callback)
        super().close_connection(connection)

    def register_with_event_loop(self, connection: Connection, loop: Hub) -> None:
        """Register with the loop, so that it announces messages."""
        for channel in cast("list[Channel]", self.channels):
            channel.brpop_timeout = WAIT_S
        self._of_loop = cast("set[object]", loop.on_tick)
        others = set(self._of_loop)
        super().register_with_event_loop(connection, loop)
        self._loop_callbacks |= self._of_loop - others
        self._look_at_bindings_less(loop)
        if self._reminder is not None:
            self._reminder.cancel()
        self._reminder = loop.call_repeatedly(STILL_HERE_EVERY_S, self._still_here)

    def _look_at_bindings_less(self, loop: Hub) -> None:
        cycle: Any = self.cycle
        # kombu cancels it under this name when it reconnects.
        cycle._binding_expiry_tref.cancel()  # noqa: SLF001
        look = cycle.maybe_refresh_binding_expiry
        cycle._binding_expiry_tref = loop.call_repeatedly(BINDINGS_EVERY_S, look)  # noqa: SLF001

    def _still_here(self) -> None:
        for channel in cast("list[Channel]", self.channels):
            try:
                cast("QoS", channel.qos).still_here()
            except RedisError as error:
                log.debug("Redis is unreachable, which the loop itself notices: %s", error)
