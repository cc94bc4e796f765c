"""Fakes of the ports: small classes that do in memory what the adapters do for real."""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from support.waiting import LIMIT_S

from esquirell.domain.errors import (
    ConfigError,
    EsquirellError,
    MeterUnreachableError,
    SpoolError,
    UnavailableError,
    UnstorableError,
)
from esquirell.domain.meter import Meter
from esquirell.domain.raw_datapoints import Question, RawDatapoints
from esquirell.domain.reading import Ledger, MeterStatus, Reading
from esquirell.domain.schedule import Edit, LastRun, Schedule, StoredSchedule

KEY = "0123456789abcdef"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def meter(name: str = "main", **fields: object) -> Meter:
    settings = {"device_id": f"id-{name}", "address": "127.0.0.1", "local_key": KEY}
    return Meter.model_validate({"name": name, "profile": "owon_pc321", **settings, **fields})


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Transport:
    """Answers by a script for each meter: its DPs, an error, or a function that returns either."""

    def __init__(self, **scripts: object) -> None:
        self.scripts: dict[str, Any] = dict(scripts)
        self.asked: list[tuple[str, tuple[int, ...], bool]] = []
        self.closed = threading.Event()

    def ask(
        self,
        questions: Sequence[Question],
        answered: Callable[[Question, RawDatapoints | EsquirellError], None],
    ) -> None:
        for question in questions:
            self.asked.append((question.meter.name, question.refresh, question.forced))
            threading.Thread(target=self._answer, args=(question, answered), daemon=True).start()

    def _answer(
        self,
        question: Question,
        answered: Callable[[Question, RawDatapoints | EsquirellError], None],
    ) -> None:
        script = self.scripts[question.meter.name]
        try:
            answer = script() if callable(script) else script
        except EsquirellError as error:
            answer = error
        answered(
            question, answer if isinstance(answer, EsquirellError) else RawDatapoints(dict(answer))
        )

    def close(self) -> None:
        self.closed.set()

    def hang(self) -> Mapping[str, Any]:
        """Answer nothing until the connection is cut."""
        self.closed.wait(LIMIT_S)
        raise MeterUnreachableError("unreachable", "the connection was cut")


class ReadingStore:
    def __init__(self) -> None:
        self.rows: dict[tuple[str, datetime], Reading] = {}
        self.kept: dict[str, MeterStatus] = {}
        self.ledger_of: dict[str, Ledger] = {}
        self.away = False
        self.pause_s = 0.0
        # While this is not set, every attempt waits.
        self.locked = threading.Event()
        self.locked.set()
        self.tried = 0
        self.transactions = 0
        self.transactions_left: int | None = None
        self.never: set[datetime] = set()
        self.refuses_all = False
        self.fault: Exception | None = None

    def add(self, readings: Sequence[Reading], statuses: Mapping[str, MeterStatus]) -> None:
        self.tried += 1
        self.locked.wait(LIMIT_S)
        if self.away or self.transactions_left == 0:
            raise UnavailableError("the database is unreachable")
        if self.transactions_left:
            self.transactions_left -= 1
        if self.fault is not None:
            raise self.fault
        if readings and self.refuses_all:
            raise UnstorableError("no rows today")
        if self.never & {reading.measured_at for reading in readings}:
            raise UnstorableError("a number is too large")
        time.sleep(self.pause_s)
        self.transactions += 1
        self.rows |= {(one.meter, one.measured_at): one for one in readings}
        self.kept |= statuses
        self.ledger_of |= {one.meter: one.ledger for one in readings if one.ledger}

    def ledgers(self, names: Collection[str]) -> dict[str, Ledger]:
        if self.away:
            raise UnavailableError("the database is unreachable")
        return {name: one for name, one in self.ledger_of.items() if name in names}

    def look_up(self, names: Collection[str]) -> Callable[[], dict[str, Ledger]]:
        return partial(self.ledgers, names)

    def statuses(self) -> dict[str, MeterStatus]:
        if self.away:
            raise UnavailableError("the database is unreachable")
        return dict(self.kept)

    def try_out(self) -> None:
        if self.away:
            raise UnavailableError("the database is unreachable")


class Spool:
    def __init__(self) -> None:
        self.aside: list[Reading] = []
        self.full = False
        self._kept: dict[int, Reading] = {}
        self._number = 0

    def add(self, readings: Iterable[Reading]) -> None:
        if self.full:
            raise SpoolError("the disk is full")
        for reading in readings:
            self._number += 1
            self._kept[self._number] = reading

    def count(self) -> int:
        return len(self._kept)

    def oldest(self, limit: int, after: int = 0) -> tuple[Sequence[Reading], int]:
        if self.full:
            raise SpoolError("the disk is full")
        found = [number for number in self._kept if number > after][:limit]
        return [self._kept[number] for number in found], found[-1] if found else after

    def forget(self, number: int) -> None:
        self._kept = {one: reading for one, reading in self._kept.items() if one > number}

    def set_aside(self, strange: Mapping[int, Exception]) -> None:
        self.aside += [self._kept.pop(number) for number in strange]


class Publisher:
    def __init__(self) -> None:
        self.readings: list[tuple[Reading, tuple[str, ...]]] = []
        self.statuses: list[tuple[str, MeterStatus]] = []
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        self.looked = 0

    def reading(self, reading: Reading, keys: tuple[str, ...]) -> None:
        self.readings.append((reading, keys))

    def together(self) -> AbstractContextManager[None]:
        return nullcontext()

    def publish_due(self) -> bool:
        self.looked += 1
        return False

    def status(self, meter: str, status: MeterStatus, *, reported: bool = False) -> None:
        del reported
        self.statuses.append((meter, status))

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        self.events.append((kind, data))


class ScheduleStore:
    def __init__(self, *stored: StoredSchedule) -> None:
        self.rows = {one.name: one for one in stored}
        self.runs: dict[str, LastRun] = {}
        self.writes = 0

    def all(self) -> list[StoredSchedule]:
        return list(self.rows.values())

    def change(self, edit: Edit) -> None:
        changes = edit(self.rows)
        self.rows |= {name: new for name, new in changes.items() if new}
        for name in [name for name, new in changes.items() if new is None]:
            del self.rows[name]

    def last_runs(self) -> dict[str, LastRun]:
        return dict(self.runs)

    def record_run(self, name: str, run: LastRun) -> None:
        self.runs[name] = run
        self.writes += 1


class Timetable:
    def __init__(self) -> None:
        self.entries: dict[str, Schedule] = {}
        self.noted: dict[str, LastRun] = {}
        self.announced = 0
        self.away = False

    def lock(self) -> AbstractContextManager[object]:
        return nullcontext()

    def check(self, schedule: Schedule) -> None:
        if schedule.cron == "never":
            raise ConfigError('cron "never" is not valid')

    def explain(self, cron: str, timezone: str | None, count: int) -> tuple[str, list[datetime]]:
        return f"{cron} {timezone}", [NOON] * count

    def announce(self) -> None:
        self.announced += 1

    def forget(self, name: str) -> None:
        self.noted.pop(name, None)

    def note_run(self, name: str, run: LastRun) -> None:
        self.noted[name] = run

    def runs(self, names: Sequence[str]) -> Mapping[str, LastRun]:
        if self.away:
            raise UnavailableError("Redis is unreachable")
        return {name: self.noted.get(name, LastRun()) for name in names}

    def version(self, names: Sequence[str]) -> tuple[str, Mapping[str, str]]:
        return str(self.announced), {name: str(run) for name, run in self.runs(names).items()}

    def replace(self, schedules: Mapping[str, Schedule], last_runs: Mapping[str, LastRun]) -> None:
        del last_runs
        if self.away:
            raise UnavailableError("Redis is unreachable")
        self.entries = dict(schedules)

    def next_run(self, schedule: Schedule, last: LastRun) -> datetime | None:
        return (last.at or NOON) + timedelta(minutes=1) if schedule.enabled else None


def then(*answers: object) -> Callable[[], Any]:
    """Return one answer after the other."""
    left = list(answers)
    return lambda: left.pop(0)
