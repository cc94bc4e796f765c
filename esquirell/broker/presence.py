"""Which roles are alive, as each says itself in Redis every few seconds."""

import redis

from esquirell.broker.connection import RedisError, unavailable
from esquirell.broker.probe import probe

ALIVE_S = 20
PREFIX = "esquirell:role:"


class Presence:
    """Says that a role is alive, and tells who is; what is not renewed is gone after 20 s."""

    def __init__(self, client: redis.Redis, instance: str) -> None:
        self._client = client
        self._instance = instance

    def announce(self, role: str, since: str) -> None:
        """Say that a role of this process works. Raises UnavailableError."""
        key = f"{PREFIX}{role}:{self._instance}"
        try:
            self._client.set(key, since, ex=ALIVE_S)
        except RedisError as error:
            raise unavailable(error) from None

    def withdraw(self, *roles: str) -> None:
        """Say that roles of this process have ended. Raises UnavailableError."""
        try:
            self._client.delete(*(f"{PREFIX}{role}:{self._instance}" for role in roles))
        except RedisError as error:
            raise unavailable(error) from None

    def probe(self) -> None:
        """Try what the roles need of Redis. Raises UnavailableError with its own words."""
        probe(self._client)

    def roles(self) -> dict[str, str]:
        """Return the roles that are alive anywhere, with the time since when.

        Raises UnavailableError.
        """
        return self._alive("*")

    def count(self, role: str) -> int:
        """Count the processes in which a role is alive. Raises UnavailableError."""
        try:
            return sum(1 for _ in self._client.scan_iter(f"{PREFIX}{role}:*", count=1000))
        except RedisError as error:
            raise unavailable(error) from None

    def here(self) -> dict[str, str]:
        """Return the roles that are alive on this machine, with the time since when.

        Raises UnavailableError.
        """
        machine = self._instance.rsplit("-", 2)[0]
        return self._alive(f"{machine}-*")

    def _alive(self, instances: str) -> dict[str, str]:
        try:
            keys = sorted(self._client.scan_iter(f"{PREFIX}*:{instances}", count=1000))
            values = self._client.mget(keys) if keys else []
        except RedisError as error:
            raise unavailable(error) from None
        found = zip(keys, values, strict=True)
        return {str(key).split(":")[2]: str(value) for key, value in found if value}
