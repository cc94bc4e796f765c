"""How the whole is doing: what `bridge/health` publishes and `esquirell health` judges."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from esquirell.domain.clock import Clock
from esquirell.domain.errors import UnavailableError
from esquirell.domain.meter import Meter, worker_of
from esquirell.domain.reading import iso
from esquirell.domain.status import MeterStatus
from esquirell.services.ports import Presence, Queues, ReadingStore

ROLES = ("worker", "beat", "bridge")


@dataclass(frozen=True, slots=True)
class Here:
    """What only the process that reports knows: readings that wait, the connection to the broker.

    `mqtt` returns nothing where the connection is not the bridge's.
    """

    waiting: Callable[[], int] = lambda: 0
    mqtt: Callable[[], Mapping[str, Any]] = dict


class Health:
    """Asks everything how it is doing."""

    def __init__(
        self,
        meters: Callable[[], Sequence[Meter]],
        store: ReadingStore,
        presence: Presence,
        queues: Queues,
        here: Here,
        clock: Clock,
    ) -> None:
        self._meters = meters
        self._store = store
        self._presence = presence
        self._queues = queues
        self._here = here
        self._clock = clock

    def report(self) -> dict[str, Any]:
        """Build the report in the shape of `bridge/health`; never raises."""
        redis, living = self._redis()
        roles = {role: {"alive": role in living, "since": living.get(role)} for role in ROLES}
        database, statuses = self._database()
        alive = all(role["alive"] for role in roles.values())
        unserved = self._unserved(living)
        mqtt = self._here.mqtt()
        return {
            "at": iso(self._clock()),
            "healthy": alive and redis["ok"] and database["ok"] and mqtt.get("connected", True),
            "roles": roles,
            "queue": self._queue() | ({"unserved": unserved} if unserved else {}),
            "redis": redis,
            "database": database,
            **({"mqtt": mqtt} if mqtt else {}),
            "meters": {meter.name: _meter(statuses, meter) for meter in self._meters()},
        }

    def meters(self) -> list[dict[str, Any]]:
        """List the meters: how each is configured and how it is doing; never raises."""
        _, statuses = self._database()
        return [described(one, statuses.get(one.name, MeterStatus())) for one in self._meters()]

    def unserved(self) -> list[str]:
        """Name the queues of meters that no worker serves. Raises UnavailableError."""
        return self._unserved(self._presence.roles())

    def _redis(self) -> tuple[dict[str, Any], Mapping[str, str]]:
        try:
            self._presence.probe()
            living = self._presence.roles()
        except UnavailableError as error:
            return {"ok": False, "error": str(error)}, {}
        return {"ok": True}, living

    def _unserved(self, living: Collection[str]) -> list[str]:
        queues = sorted({meter.queue for meter in self._meters() if meter.queue})
        return [queue for queue in queues if worker_of(queue) not in living]

    def _queue(self) -> dict[str, Any]:
        try:
            backlog = self._queues.backlog()
        except UnavailableError:
            return {"length": None, "oldest_s": None}
        return {"length": backlog.length, "oldest_s": round(backlog.oldest_s, 1)}

    def _database(self) -> tuple[dict[str, Any], Mapping[str, MeterStatus]]:
        try:
            statuses = self._store.statuses()
        except UnavailableError as error:
            return {"ok": False, "spooled": self._here.waiting(), "error": str(error)}, {}
        return {"ok": True, "spooled": self._here.waiting()}, statuses


def described(meter: Meter, status: MeterStatus) -> dict[str, Any]:
    """Describe a meter as `meter/list` does: how it is configured and how it is doing."""
    configured = {
        "name": meter.name,
        "label": meter.title,
        "profile": meter.profile,
        "protocol": meter.protocol,
    }
    return configured | status.payload()


def _meter(statuses: Mapping[str, MeterStatus], meter: Meter) -> dict[str, Any]:
    status = statuses.get(meter.name, MeterStatus())
    return {
        "last_success": status.time,
        "failures": status.failures,
        "reason": status.reason,
    }
