"""Connections to Redis, with a timeout on every step."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field
from typing import Any, cast
from urllib.parse import urlsplit

import redis
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    LockError,
    RedisError,
    ResponseError,
)
from redis.maint_notifications import MaintNotificationsConfig
from redis.sentinel import Sentinel

from esquirell.domain.errors import UnavailableError
from esquirell.domain.record import record

CONNECT_S = 3
ANSWER_S = 5
KEEPALIVE_CHECK_S = 15

Client = redis.Redis

# No announcement of ourselves, no news of a hosted Redis: each connection takes three round trips
# less.
QUIET = {
    "driver_info": None,
    "maint_notifications_config": MaintNotificationsConfig(enabled=False),
}

# Redis adds the position in the script, and the arguments of a command that it does not know, which
# differ each time; redis-py adds the command with all that it wrote.
_AROUND = re.compile(
    r" script: \S+, on @user_script:\d+|, with args beginning with: .*"
    r"|^Command # \d+ \(.*\) of pipeline caused error: ",
    re.DOTALL,
)
# Redis is there, but refuses.
ANSWERS = (ResponseError, AuthenticationError, AuthorizationError, BusyLoadingError)
# What it says before it closes a connection, which redis-py takes for a lost one.
CLOSING_ANSWERS = ("max number of clients reached",)

__all__ = [
    "Address",
    "Client",
    "RedisError",
    "RefusedError",
    "Sentinels",
    "connect",
    "reaching_redis",
    "unavailable",
]


@record
class Sentinels:
    """The Sentinels that know where Redis currently is: hosts and ports, and the master's name."""

    hosts: tuple[tuple[str, int], ...]
    master: str
    password: str | None = field(default=None, repr=False)

    @property
    def options(self) -> dict[str, Any]:
        """The options of a connection to them."""
        limits = {"socket_connect_timeout": CONNECT_S, "socket_timeout": CONNECT_S}
        return limits | ({"password": self.password} if self.password else {})


@record
class Address:
    """Where Redis is; the password is separate so that no dump of settings shows it.

    With `sentinels` they know the host, and `url` has only user and database.
    """

    url: str
    password: str | None = field(default=None, repr=False)
    options: dict[str, Any] = field(default_factory=dict)
    sentinels: Sentinels | None = None


def connect(address: Address, keepalive_s: int = KEEPALIVE_CHECK_S) -> redis.Redis:
    """Return a client (it connects on first use).

    It tests a connection that was idle for `keepalive_s`, 0 for never, and each new one.
    """
    options = dict(address.options)
    if address.password:
        options["password"] = address.password
    options |= {
        "decode_responses": True,
        "socket_connect_timeout": CONNECT_S,
        "socket_timeout": ANSWER_S,
        "health_check_interval": keepalive_s,
    } | QUIET
    if address.sentinels:
        return _master(address.url, address.sentinels, options)
    return redis.Redis.from_url(address.url, **options)


def _master(url: str, known: Sentinels, options: dict[str, Any]) -> redis.Redis:
    """Return a client that asks for the master on each connection, so that it follows it."""
    parts = urlsplit(url)
    options |= {"db": int(parts.path.strip("/") or 0), "username": parts.username}
    asked = Sentinel(known.hosts, sentinel_kwargs=known.options)  # type: ignore[no-untyped-call]  # redis-py's
    return cast("redis.Redis", asked.master_for(known.master, **options))  # type: ignore[no-untyped-call]  # redis-py's


class RefusedError(UnavailableError):
    """Redis is there but refuses: it is read-only or full, or our keys have foreign content."""


class PasswordRefusedError(RefusedError):
    """Redis does not accept the user or the password, or requires one."""


@contextmanager
def reaching_redis() -> Iterator[None]:
    """Raise UnavailableError where Redis does not answer, or refuses."""
    try:
        yield
    except RedisError as error:
        raise unavailable(error) from None


def unavailable(error: Exception) -> UnavailableError:
    """Return the error that says in one sentence what Redis answered, or why there is no answer."""
    if isinstance(error, UnavailableError):
        return error
    # kombu wraps Redis' error in its own.
    error = error.__cause__ if isinstance(error.__cause__, RedisError) else error
    words = _AROUND.sub("", str(error)).partition("\n")[0].rstrip(". ")
    if isinstance(error, ANSWERS) or words in CLOSING_ANSWERS:
        kind = PasswordRefusedError if isinstance(error, AuthenticationError) else RefusedError
        # The first of several sentences: the others explain.
        return kind(f"Redis refuses: {words.partition('. ')[0]}")
    if isinstance(error, LockError):
        return RefusedError(f"a lock in Redis is held by another program: {words}")
    if isinstance(error, redis.TimeoutError):
        return UnavailableError("Redis does not answer in time: check redis.url")
    why = words or type(error).__name__
    return UnavailableError(f"Redis does not answer ({why}): check redis.url")
