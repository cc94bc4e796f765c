"""What all processes of a service are told at once, through Redis."""

import json
import uuid
from dataclasses import dataclass

import redis

from esquirell.broker.connection import RedisError, unavailable

KEY = "esquirell:orders"
# Longer than a process takes to look, shorter than a restart that surprises somebody later on.
VALID_S = 60


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done; `id` tells it from an earlier one that says the same."""

    id: str
    value: str = ""


class Orders:
    """Gives orders, the newest of each kind, to processes that look within a minute."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def give(self, kind: str, value: str = "") -> Order:
        """Give an order to all processes. Raises UnavailableError."""
        order = Order(uuid.uuid4().hex, value)
        key = f"{KEY}:{kind}"
        try:
            self._client.set(key, json.dumps([order.id, order.value]), ex=VALID_S)
        except RedisError as error:
            raise unavailable(error) from None
        return order

    def newest(self, *kinds: str) -> dict[str, Order]:
        """Return the newest order of each kind that has one. Raises UnavailableError."""
        try:
            found = self._client.mget([f"{KEY}:{kind}" for kind in kinds])
        except RedisError as error:
            raise unavailable(error) from None
        read = {kind: _read(text) for kind, text in zip(kinds, found, strict=True)}
        return {kind: order for kind, order in read.items() if order}


def _read(text: object) -> Order | None:
    """Read an order; what is none of ours says nothing."""
    try:
        order_id, value = json.loads(str(text or ""))
    except (ValueError, TypeError):
        return None
    return Order(str(order_id), str(value))
