"""Connections to Redis, with a time limit on every step."""

from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

import redis
from redis.exceptions import RedisError
from redis.sentinel import Sentinel

from esquirell.domain.errors import UnavailableError

CONNECT_S = 3
ANSWER_S = 5
KEEPALIVE_CHECK_S = 15

Client = redis.Redis

__all__ = ["Address", "Client", "RedisError", "Sentinels", "connect", "unavailable"]


@dataclass(frozen=True, slots=True)
class Sentinels:
    """Who knows where Redis is at the moment: hosts and ports, and how they call it."""

    hosts: tuple[tuple[str, int], ...]
    master: str
    password: str | None = field(default=None, repr=False)

    @property
    def options(self) -> dict[str, Any]:
        """The options of a connection to them."""
        limits = {"socket_connect_timeout": CONNECT_S, "socket_timeout": CONNECT_S}
        return limits | ({"password": self.password} if self.password else {})


@dataclass(frozen=True, slots=True)
class Address:
    """Where Redis is; the password stands apart so that no dump of settings shows it.

    With `sentinels` the host is theirs to tell, and `url` holds only user and database.
    """

    url: str
    password: str | None = field(default=None, repr=False)
    options: dict[str, Any] = field(default_factory=dict)
    sentinels: Sentinels | None = None


def connect(address: Address) -> redis.Redis:
    """Prepare a client (it connects on first use)."""
    options = dict(address.options)
    if address.password:
        options["password"] = address.password
    options |= {
        "decode_responses": True,
        "socket_connect_timeout": CONNECT_S,
        "socket_timeout": ANSWER_S,
        "health_check_interval": KEEPALIVE_CHECK_S,
    }
    if address.sentinels:
        return _master(address.url, address.sentinels, options)
    return redis.Redis.from_url(address.url, **options)


def _master(url: str, known: Sentinels, options: dict[str, Any]) -> redis.Redis:
    """Prepare a client that asks for the master at each connection, so that it follows it."""
    parts = urlsplit(url)
    options |= {"db": int(parts.path.strip("/") or 0), "username": parts.username}
    asked = Sentinel(known.hosts, sentinel_kwargs=known.options)  # type: ignore[no-untyped-call]  # redis-py's
    return cast("redis.Redis", asked.master_for(known.master, **options))  # type: ignore[no-untyped-call]  # redis-py's


def unavailable(error: Exception) -> UnavailableError:
    """Say that Redis is away, without the address, which may hold a password."""
    return UnavailableError(f"Redis does not answer ({type(error).__name__}): check redis.url")
