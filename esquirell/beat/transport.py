"""Celery's transport over Redis, made to use less for each message and between them."""

from kombu.transport.redis import Channel as RedisChannel
from kombu.transport.redis import Transport as RedisTransport

from esquirell.beat.redis import Client

# kombu asks anew each second; a message comes at once however long one waits for it. At the end
# of a process the present wait has to run out, or the message that it brings would be lost.
WAIT_S = 3


class Channel(RedisChannel):
    """Keeps one client: kombu makes three for each message, which costs as much as sending it."""

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
    """kombu's own, with our channel and longer waits."""

    Channel = Channel
    brpop_timeout = WAIT_S
