"""The dispatcher of commands over fakes of what it uses."""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict
from support.fakes import NOON, Clock, ReadingStore, ScheduleStore, Timetable, meter

from esquirell.domain.command import Answer, CommandRecord, Request
from esquirell.domain.device import Device
from esquirell.domain.errors import EsquirellError, MeterUnreachableError, UnavailableError
from esquirell.domain.meter import Meter
from esquirell.domain.process import Order, Process
from esquirell.domain.reading import Reading
from esquirell.domain.requests import FetchArguments
from esquirell.domain.schedule import StoredSchedule
from esquirell.domain.tasks import HeldTask, TaskRegistry
from esquirell.services.commands import Commands
from esquirell.services.control import Control
from esquirell.services.edits import Edits
from esquirell.services.handlers import Handlers
from esquirell.services.health import Configured, Health, LocalFacts
from esquirell.services.inventory import ConfiguredMeters, Inventory
from esquirell.services.jobs import Jobs
from esquirell.services.schedules import Schedules

STATE = [
    *("name", "task", "meters", "every", "cron", "timezone", "args", "enabled", "expires"),
    *("last_run_at", "next_run_at", "last_result", "origin"),
]
FETCH = "esquirell.tasks.fetch_and_save_energy_data"


class CommandLog:
    def __init__(self) -> None:
        self.records: dict[str, CommandRecord] = {}
        self.away = False

    def record(self, record: CommandRecord) -> None:
        if self.away:
            raise UnavailableError("the database is unreachable")
        self.records[record.id] = record

    def finish(
        self,
        command_id: str,
        at: datetime,
        answer: Answer,
        *,
        answered: bool,
        instead: Mapping[str, Any] | None = None,
    ) -> None:
        old = self.records[command_id]
        if instead is not None:
            old = replace(old, request=instead, transaction_key=None)
        self.records[command_id] = replace(
            old, ended_at=at, answer=answer, reply=None if answered else old.reply
        )

    def get(self, command_id: str) -> CommandRecord | None:
        return self.records.get(command_id)

    def find(self, transaction_key: str | None, since: datetime) -> CommandRecord | None:
        found = [
            one
            for one in self.records.values()
            if transaction_key and one.transaction_key == transaction_key and one.at >= since
        ]
        return found[-1] if found else None

    def unended(self, before: datetime) -> list[CommandRecord]:
        return [one for one in self.records.values() if one.answer is None and one.at < before]

    def unanswered(self) -> list[CommandRecord]:
        return [one for one in self.records.values() if one.answer and one.reply]

    def prune(self, before: datetime, most: int) -> int:
        newest_first = sorted(self.records.values(), key=lambda one: one.at, reverse=True)
        old = [one.id for one in newest_first if one.at < before]
        old += [one.id for one in newest_first[most:] if one.answer and one.id not in old]
        for command_id in old:
            del self.records[command_id]
        return len(old)

    def mark_answered(self, command_id: str) -> None:
        del self.records[command_id]


class Sender:
    def __init__(self) -> None:
        self.sent: list[tuple[str, Mapping[str, Any], str | None]] = []
        self.away = False

    def send(
        self,
        task: str,
        kwargs: Mapping[str, Any],
        task_id: str,
        expires_s: int,
        schedule: str | None,
    ) -> None:
        del task_id, expires_s
        if self.away:
            raise UnavailableError("Redis does not answer")
        self.sent.append((task, kwargs, schedule))


class Presence:
    slow = ""

    def roles(self) -> Mapping[str, str]:
        return {"worker": "2026-11-22T10:00:00.000Z"}

    def processes(self) -> Sequence[Process]:
        return [Process("raspi", ("worker",), "2026-11-22T10:00:00.000Z")]


class Queues:
    def backlog(self) -> tuple[int, float]:
        return 3, 1.5


class HeldTasks:
    """Workers that hold the tasks in `tasks`; or Redis is unreachable."""

    def __init__(self) -> None:
        self.tasks: dict[str, HeldTask] = {}
        self.reachable = True

    def find(self, task_id: str) -> HeldTask | None:
        if not self.reachable:
            raise UnavailableError("Redis does not answer")
        return self.tasks.get(task_id)


class HeatArguments(BaseModel):
    model_config = ConfigDict(extra="forbid")

    degrees: float
    room: str = "hall"


class HeatTask:
    """Heat a room."""

    name = "my_house.tasks.heat"

    def run(self, degrees: float, room: str = "hall") -> None:
        pass


class Orders:
    """Orders as all processes of a service find them; or Redis is unreachable."""

    def __init__(self) -> None:
        self.given: dict[str, Order] = {}
        self.reachable = True

    def give(self, kind: str, value: str = "") -> Order:
        self._check()
        self.given[kind] = Order(uuid.uuid4().hex, value)
        return self.given[kind]

    def newest(self, *kinds: str) -> dict[str, Order]:
        self._check()
        return {kind: self.given[kind] for kind in kinds if kind in self.given}

    def _check(self) -> None:
        if not self.reachable:
            raise UnavailableError("Redis does not answer")


class MeterFiles:
    """The files of the meters that were added, in memory, and the result of reading a meter."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Any]] = {}
        self.noted: dict[str, Device] = {}
        self.read_with: list[Meter] = []
        self.trouble: EsquirellError | None = None
        # A concurrent change, just before these are changed.
        self.meanwhile: Callable[[], None] = lambda: None
        # The meters in files, each time that the process took them over.
        self.taken_over: list[set[str]] = []

    @contextmanager
    def alone(self) -> Iterator[None]:
        self.meanwhile()
        yield

    def meters(self) -> list[Meter]:
        return [Meter.model_validate(table) for table in self.tables.values()]

    def put(self, name: str, table: Mapping[str, Any]) -> Path:
        if self.trouble:
            raise self.trouble
        self.tables[name] = dict(table)
        return Path(f"/state/meters/{name}.toml")

    def read(self, name: str) -> dict[str, Any]:
        return dict(self.tables[name])

    def remove(self, name: str) -> None:
        if self.trouble:
            raise self.trouble
        del self.tables[name]

    def note(self, device_id: str, device: Device) -> None:
        self.noted[device_id] = device

    def reading(self, meter: Meter, device: Device | None) -> Reading:
        del device
        self.read_with.append(meter)
        if meter.address == "10.0.0.66":
            raise MeterUnreachableError("unreachable", "no route to it")
        return Reading(meter.name, NOON, {"active_power": 12.0})


class FetchTask:
    """Read all meters."""

    name = FETCH

    def run(self, meters: list[str] | None = None) -> None:
        pass


class Bench:
    """Asks a dispatcher over a file's and a user's schedules, two meters and two tasks."""

    def __init__(self, *stored: StoredSchedule, timetable: Timetable | None = None) -> None:
        self.store = ScheduleStore(*stored)
        self.timetable = timetable or Timetable()
        self.clock = Clock()
        self.log = CommandLog()
        self.sender = Sender()
        self.tasks = TaskRegistry()
        self.tasks.mark(FetchTask(), FetchArguments)
        self.tasks.mark(HeatTask(), HeatArguments)
        self.schedules = Schedules(self.store, self.timetable, self.clock)
        self.held = HeldTasks()
        self.jobs = Jobs(self.log, self.sender, self.held, self.clock)
        self.readings = ReadingStore()
        configured = Configured(self.meters)
        health = Health(configured, self.readings, Presence(), Queues(), LocalFacts(), self.clock)
        edits = Edits(self.store, self.timetable, self.tasks, self.meters)
        self.files = MeterFiles()
        self.forgotten: list[str] = []
        self.handed_over: list[tuple[str, str]] = []
        self.orders = Orders()
        self.up_s = 0.0
        self.control = Control(self.orders, monotonic=lambda: self.up_s)
        self.up_s = 100.0
        handlers = Handlers(
            edits, self.schedules, health, self.tasks, self.inventory(), self.control
        )
        self.commands = Commands(handlers, self.jobs)

    def meters(self) -> Sequence[Any]:
        return [meter("main"), meter("garage"), *self.files.meters()]

    def inventory(self) -> Inventory:
        """Build the writer of meters over files in memory."""

        def forget(name: str) -> int:
            self.forgotten.append(name)
            return 7

        return Inventory(
            self.files,
            lambda: ConfiguredMeters(self.meters(), tuple(self.files.tables)),
            self.files.reading,
            self.files.note,
            lambda meter: meter.address == "10.0.0.10",
            lambda: self.files.taken_over.append(set(self.files.tables)),
            lambda name, source: self.handed_over.append((name, source)),
            forget,
            self.schedules.readers,
            "raspi",
        )

    def ask(self, command: str, **data: object) -> dict[str, Any]:
        return self.commands.handle(Request("mqtt", command, data)).payload()

    def ok(self, command: str, **data: object) -> dict[str, Any]:
        answer = self.ask(command, **data)
        assert answer["status"] == "ok", answer
        return dict(answer["data"])

    def code(self, command: str, **data: object) -> str:
        answer = self.ask(command, **data)
        assert answer["status"] == "error", answer
        assert answer["error"].count("\n") == 0
        return str(answer["code"])


def from_file(**base: object) -> StoredSchedule:
    return StoredSchedule("fetch", {"every": 60} | base)
