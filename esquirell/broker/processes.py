"""What processes tell each other in Redis: which are alive, orders, and where their state is."""

import json
import socket
import time
import uuid
from collections.abc import Iterable

import redis

from esquirell.broker.connection import Client, reaching_redis
from esquirell.broker.diagnosis import probe, slowness
from esquirell.domain.process import Order, Process, process_of

ALIVE_S = 20
# Keys that are looked through in one round trip.
PAGE = 1000
# A process that disappeared without shutting down is listed for a day.
NAMED_S = 86_400
ROLES = "esquirell:role:"
PROCESSES = "esquirell:process:"

ORDERS = "esquirell:orders"
# Longer than the interval at which processes check, but too short for a late surprise.
ORDER_VALID_S = 60

DIRECTORIES = "esquirell:places:"


class Presence:
    """Registers a process as alive, and lists those that are; an entry expires after 20 s.

    `slow` says that Redis took long when the processes were listed; empty if it did not.
    """

    def __init__(self, client: redis.Redis, instance: str) -> None:
        self._client = client
        self._instance = instance
        self._has_spoken = False
        self.slow = ""

    def announce(self, process: Process, working: Iterable[str]) -> None:
        """Record this process and its roles as alive. Raises UnavailableError."""
        with reaching_redis():
            with self._client.pipeline() as steps:
                for role in working:
                    key = f"{ROLES}{role}:{self._instance}"
                    steps.set(key, process.since, ex=ALIVE_S)
                description = json.dumps(process.payload())
                steps.set(f"{PROCESSES}{self._instance}", description, ex=NAMED_S)
                steps.execute()
            if not self._has_spoken:
                self._take_place(process)
                self._has_spoken = True

    def withdraw(self, *roles: str) -> None:
        """Record that this process, with these roles, has ended. Raises UnavailableError."""
        keys = [f"{ROLES}{role}:{self._instance}" for role in roles]
        with reaching_redis():
            self._client.delete(*keys, f"{PROCESSES}{self._instance}")

    def roles(self) -> dict[str, str]:
        """Return the roles that are alive anywhere, and since when. Raises UnavailableError."""
        with reaching_redis():
            keys = sorted(self._client.scan_iter(f"{ROLES}*", count=1000))
            values = self._client.mget(keys) if keys else []
        found = zip(keys, values, strict=True)
        return {str(key).split(":")[2]: str(value) for key, value in found if value}

    def count(self, role: str) -> int:
        """Count the processes in which a role is alive. Raises UnavailableError."""
        with reaching_redis():
            return sum(1 for _ in self._client.scan_iter(f"{ROLES}{role}:*", count=1000))

    def processes(self) -> list[Process]:
        """Return the processes that are alive, and those that disappeared within a day.

        The living come first, by host and roles. In the same round trip it is tested what the roles
        need from Redis. Raises UnavailableError with Redis' own words.
        """
        first = probe(self._client, lambda steps: steps.scan(0, f"{PROCESSES}*", PAGE))[-1]
        with reaching_redis():
            found = self._described(*first)
        return sorted(found.values(), key=lambda one: (not one.alive, one.host, one.roles))

    def _described(self, place: int, keys: Iterable[object]) -> dict[str, Process]:
        """Return the processes by the keys of their descriptions.

        `keys` are those found so far, when looking through all keys has come to `place`.
        """
        unique = {str(key) for key in keys}
        while place:
            place, more = self._client.scan(place, f"{PROCESSES}*", PAGE)
            unique.update(map(str, more))
        keys, began = sorted(unique), time.monotonic()
        with self._client.pipeline(transaction=False) as steps:
            for key in keys:
                steps.get(key)
                steps.ttl(key)
            answers = steps.execute()
        self.slow = slowness(time.monotonic() - began)
        found = {}
        for key, text, left_s in zip(keys, answers[::2], answers[1::2], strict=True):
            process = _read(text)
            if process is not None:
                silent_s = NAMED_S - int(left_s)
                found[str(key)] = process.silent_for(silent_s) if silent_s > ALIVE_S else process
        return found

    def _take_place(self, process: Process) -> None:
        """Forget a process that disappeared on this machine, whose roles this process now has."""
        first = self._client.scan(0, f"{PROCESSES}*", PAGE)
        for key, other in self._described(*first).items():
            same = (other.host, other.roles) == (process.host, process.roles)
            if same and not other.alive:
                self._client.delete(key)
                return


def _read(text: str | None) -> Process | None:
    """Parse a description; None if it is gone meanwhile, or foreign."""
    try:
        return process_of(json.loads(text)) if text else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


class Orders:
    """Sends orders, the newest of each kind, to processes that check within a minute."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def give(self, kind: str, value: str = "") -> Order:
        """Send an order to all processes. Raises UnavailableError."""
        order = Order(uuid.uuid4().hex, value)
        key = f"{ORDERS}:{kind}"
        with reaching_redis():
            self._client.set(key, json.dumps([order.id, order.value]), ex=ORDER_VALID_S)
        return order

    def newest(self, *kinds: str) -> dict[str, Order]:
        """Return the newest order of each kind that has one. Raises UnavailableError."""
        with reaching_redis():
            found = self._client.mget([f"{ORDERS}:{kind}" for kind in kinds])
        read = {kind: _order(text) for kind, text in zip(kinds, found, strict=True)}
        return {kind: order for kind, order in read.items() if order}


def _order(text: object) -> Order | None:
    """Parse an order; a foreign value is ignored."""
    try:
        order_id, value = json.loads(str(text or ""))
    except (ValueError, TypeError):
        return None
    return Order(str(order_id), str(value))


class RememberedDirectories:
    """Remembers the state directories of this machine. All methods raise UnavailableError."""

    def __init__(self, client: Client, host: str = "") -> None:
        self._client = client
        self._key = f"{DIRECTORIES}{host or socket.gethostname()}"

    def knows(self, folder: str) -> bool:
        """Return whether a service on this machine has had its state there."""
        with reaching_redis():
            return bool(self._client.sismember(self._key, folder))

    def note(self, folder: str) -> None:
        """Remember a directory."""
        with reaching_redis():
            self._client.sadd(self._key, folder)
