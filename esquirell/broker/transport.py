"""Celery's transport over Redis, made to use less for each message and between them."""

from typing import cast

from kombu import Connection
from kombu.asynchronous import Hub
from kombu.transport.redis import Channel as RedisChannel
from kombu.transport.redis import Transport as RedisTransport

from esquirell.broker.connection import Client

# kombu asks anew each second; a message comes at once however long a worker waits for it. At its
# end the present wait has to run out, or the message that it brings would be lost. Who collects
# answers changes what it waits for, so it goes on in kombu's steps.
WAIT_S = 3


class Channel(RedisChannel):
    """Keeps one client: kombu makes three for each message, which costs as much as sending it."""

    brpop_timeout: int
    _kept: Client | None = None

    def _create_client(self, asynchronous: bool = False) -> Client:
        if asynchronous:
            return self._made(asynchronous=True)
        # The pool is another one after Redis was away.
        if self._kept is None or self._kept.connection_pool is not self.pool:
            self._kept = self._made(asynchronous=False)
        return self._kept

    def _made(self, *, asynchronous: bool) -> Client:
        return super()._create_client(asynchronous)  # type: ignore[misc, no-any-return]  # untyped


class Transport(RedisTransport):
    """kombu's own, with our channel, and longer waits in the loop of a worker."""

    Channel = Channel

    def register_with_event_loop(self, connection: Connection, loop: Hub) -> None:
        """Let the loop tell of messages."""
        for channel in cast("list[Channel]", self.channels):
            channel.brpop_timeout = WAIT_S
        super().register_with_event_loop(connection, loop)
