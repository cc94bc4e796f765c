"""Orders to all processes of a service, through Redis."""

import json
import uuid

import redis

from esquirell.broker.connection import reaching_redis
from esquirell.domain.record import record

KEY = "esquirell:orders"
# Longer than the interval at which processes check, but too short for a late surprise.
VALID_S = 60


@record
class Order:
    """What to do; `id` distinguishes it from an earlier equal one."""

    id: str
    value: str = ""


class Orders:
    """Sends orders, the newest of each kind, to processes that check within a minute."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def give(self, kind: str, value: str = "") -> Order:
        """Send an order to all processes. Raises UnavailableError."""
        order = Order(uuid.uuid4().hex, value)
        key = f"{KEY}:{kind}"
        with reaching_redis():
            self._client.set(key, json.dumps([order.id, order.value]), ex=VALID_S)
        return order

    def newest(self, *kinds: str) -> dict[str, Order]:
        """Return the newest order of each kind that has one. Raises UnavailableError."""
        with reaching_redis():
            found = self._client.mget([f"{KEY}:{kind}" for kind in kinds])
        read = {kind: _read(text) for kind, text in zip(kinds, found, strict=True)}
        return {kind: order for kind, order in read.items() if order}


def _read(text: object) -> Order | None:
    """Parse an order; a foreign value is ignored."""
    try:
        order_id, value = json.loads(str(text or ""))
    except (ValueError, TypeError):
        return None
    return Order(str(order_id), str(value))
