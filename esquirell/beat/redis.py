"""Connections to Redis, with a time limit on every step."""

from dataclasses import dataclass, field
from typing import Any

import redis
from redis.exceptions import RedisError

from esquirell.domain.errors import UnavailableError

CONNECT_S = 3
ANSWER_S = 5
KEEPALIVE_CHECK_S = 15

Client = redis.Redis

__all__ = ["Address", "Client", "RedisError", "connect", "unavailable"]


@dataclass(frozen=True, slots=True)
class Address:
    """Where Redis is; the password stands apart so that no dump of settings shows it."""

    url: str
    password: str | None = field(default=None, repr=False)
    options: dict[str, Any] = field(default_factory=dict)


def connect(address: Address) -> redis.Redis:
    """Prepare a client (it connects on first use)."""
    options = dict(address.options)
    if address.password:
        options["password"] = address.password
    return redis.Redis.from_url(
        address.url,
        decode_responses=True,
        socket_connect_timeout=CONNECT_S,
        socket_timeout=ANSWER_S,
        health_check_interval=KEEPALIVE_CHECK_S,
        **options,
    )


def unavailable(error: Exception) -> UnavailableError:
    """Say that Redis is away, without the address, which may hold a password."""
    return UnavailableError(f"Redis does not answer ({type(error).__name__}): check redis.url")
