"""The health of the service: published as `bridge/health`, checked by `esquirell health`."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from esquirell.domain.clock import Clock
from esquirell.domain.errors import EsquirellError, UnavailableError
from esquirell.domain.meter import Meter, worker_of
from esquirell.domain.process import Process
from esquirell.domain.reading import FAILURES_TO_OFFLINE, MeterStatus, iso
from esquirell.domain.record import record
from esquirell.domain.schedule import Schedule
from esquirell.services.ports import Presence, Queues, ReadingStore
from esquirell.services.schedules import pace_of
from esquirell.services.statuses import latest

ROLES = ("worker", "beat", "bridge")
# A report is one message: brokers accept 20 KiB, some less. Up to this many meters are all in it;
# of more only some that fail, as each meter has topics of its own.
MOST_METERS = 100
MOST_FAILING = 20
MOST_PROCESSES = 20
MOST_PROBLEMS = 10
MOST_OF_ONE = 2


@record
class LocalFacts:
    """What only the reporting process knows: waiting readings, its connection, itself.

    `mqtt` returns nothing where the connection is not the bridge's. `statuses` are those of the
    meters that it polls, which may not be stored yet.
    """

    waiting: Callable[[], int] = lambda: 0
    mqtt: Callable[[], Mapping[str, Any]] = dict
    process: Callable[[], Process] = lambda: Process("", (), "")
    statuses: Callable[[], Mapping[str, MeterStatus]] = dict


@record
class Configured:
    """What is to be read and how often; `schedules` may raise UnavailableError."""

    meters: Callable[[], Sequence[Meter]]
    schedules: Callable[[], Mapping[str, Schedule]] = dict


class Health:
    """Collects the health of all parts."""

    def __init__(
        self,
        configured: Configured,
        store: ReadingStore,
        presence: Presence,
        queues: Queues,
        here: LocalFacts,
        clock: Clock,
    ) -> None:
        self._meters = configured.meters
        self._schedules = configured.schedules
        self._store = store
        self._presence = presence
        self._queues = queues
        self._here = here
        self._clock = clock

    def report(self, most_meters: int | None = MOST_METERS) -> dict[str, Any]:
        """Build the report in the shape of `bridge/health`; never raises.

        With more than `most_meters`, it contains only failing ones, the first `MOST_FAILING`.
        """
        redis, roles, processes = self._redis()
        # Its entry in Redis is some seconds old: it may be connected by now.
        here = self._here.process()
        processes = [here if process.is_same(here) else process for process in processes]
        database, statuses = self._database(processes)
        unserved = self._unserved(roles)
        mqtt = self._here.mqtt()
        found = dict.fromkeys(
            [
                *(part["error"] for part in (redis, database) if not part["ok"]),
                *(problems_of_roles(roles) if redis["ok"] else ()),
                *here.problems,
                *(problem for process in processes for problem in process.problems),
                *(absent(worker_of(queue)) for queue in unserved),
            ]
        )
        return {
            "at": iso(self._clock()),
            "healthy": not found and mqtt.get("connected", True),
            "problems": list(found)[:MOST_PROBLEMS],
            "roles": {role: {"alive": role in roles, "since": roles.get(role)} for role in ROLES},
            "processes": [_shown(process) for process in processes[:MOST_PROCESSES]],
            "queue": self._queue() | ({"unserved": unserved} if unserved else {}),
            "redis": redis,
            "database": database,
            **({"mqtt": mqtt} if mqtt else {}),
            **self._meters_in(latest(statuses, self._here.statuses()), most_meters),
        }

    def meters(self) -> list[dict[str, Any]]:
        """List the meters with their configuration and status; never raises."""
        try:
            stored, schedules = self._store.statuses(), self._schedules()
        except EsquirellError:
            stored, schedules = {}, {}
        statuses = latest(stored, self._here.statuses())
        return described(self._meters(), statuses, schedules, self._clock())

    def unserved(self) -> list[str]:
        """Return the queues of meters that no worker serves. Raises UnavailableError."""
        return self._unserved(self._presence.roles())

    def _redis(self) -> tuple[dict[str, Any], Mapping[str, str], Sequence[Process]]:
        try:
            processes, roles = self._presence.processes(), self._presence.roles()
        except UnavailableError as error:
            return {"ok": False, "error": str(error)}, {}, ()
        slow = self._presence.slow
        return {"ok": True} | ({"slow": slow} if slow else {}), roles, processes

    def _unserved(self, living: Collection[str]) -> list[str]:
        queues = sorted({meter.queue for meter in self._meters() if meter.queue})
        return [queue for queue in queues if worker_of(queue) not in living]

    def _queue(self) -> dict[str, Any]:
        try:
            length, oldest_s = self._queues.backlog()
        except UnavailableError:
            return {"length": None, "oldest_s": None}
        return {"length": length, "oldest_s": round(oldest_s, 1)}

    def _database(
        self, processes: Sequence[Process]
    ) -> tuple[dict[str, Any], Mapping[str, MeterStatus]]:
        """Check that a row can be written: a disk or a server may be read-only."""
        waiting = max(self._here.waiting(), spooled(processes))
        try:
            self._store.try_out()
            return {"ok": True, "spooled": waiting}, self._store.statuses()
        except EsquirellError as error:
            return {"ok": False, "spooled": waiting, "error": str(error)}, {}

    def _meters_in(
        self, statuses: Mapping[str, MeterStatus], most: int | None
    ) -> dict[str, object]:
        meters = self._meters()
        of = {meter.name: statuses.get(meter.name, MeterStatus()) for meter in meters}
        failing = [name for name, status in of.items() if status.failures >= FAILURES_TO_OFFLINE]
        named = list(of) if most is None or len(of) <= most else failing[:MOST_FAILING]
        return {
            "meters": {name: _meter(of[name]) for name in named},
            "meters_total": len(of),
            "meters_failing": len(failing),
        }


def _shown(process: Process) -> dict[str, Any]:
    return replace(process, problems=process.problems[:MOST_OF_ONE]).payload()


def spooled(processes: Iterable[Process]) -> int:
    """Return how many readings all machines hold back; processes of one machine share its spool."""
    most: dict[str, int] = {}
    for process in processes:
        if process.alive:
            most[process.host] = max(most.get(process.host, 0), process.spooled)
    return sum(most.values())


def problems_of_roles(alive: Collection[str]) -> Iterator[str]:
    """Return a sentence for each missing role."""
    for role in ROLES:
        if role not in alive:
            yield absent(role)


def absent(role: str) -> str:
    """Return the sentence for a missing role, or for a queue without a worker."""
    if queue := role.partition("@")[2]:
        return f"no worker serves {queue}: its meters are not read"
    if role not in ROLES:
        beside = " (esquirell run serves the page by itself)" * (role == "web")
        return f"no {role} is alive: start esquirell {role}{beside}"
    return f"no {role} is alive: start esquirell run, or esquirell {role}"


def described(
    meters: Sequence[Meter],
    statuses: Mapping[str, MeterStatus],
    schedules: Mapping[str, Schedule],
    now: datetime,
) -> list[dict[str, Any]]:
    """Describe meters as in `meter/list`: their configuration and status.

    A meter without a reading for three of its intervals is offline, whatever the reason, and so is
    one that is not enabled.
    """
    return [
        _described(meter, statuses.get(meter.name, MeterStatus()), schedules, now)
        for meter in meters
    ]


def _described(
    meter: Meter, status: MeterStatus, schedules: Mapping[str, Schedule], now: datetime
) -> dict[str, Any]:
    configured = {
        "name": meter.name,
        "label": meter.title,
        "profile": meter.profile,
        "protocol": meter.protocol,
    }
    pace_s = pace_of(schedules.values(), meter.name)
    overdue = pace_s is not None and status.overdue(now, pace_s)
    is_offline = overdue or not meter.enabled
    return configured | status.payload() | ({"state": "offline"} if is_offline else {})


def _meter(status: MeterStatus) -> dict[str, Any]:
    return {
        "last_success": status.time,
        "failures": status.failures,
        "reason": status.reason,
    }
