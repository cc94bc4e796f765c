from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict
from support.fakes import Clock, ReadingStore, ScheduleStore, Timetable, meter

from esquirell.domain.command import Answer, CommandRecord, Request
from esquirell.domain.errors import CommandError, UnavailableError
from esquirell.domain.requests import COMMANDS, FetchArguments, read_json, schemas
from esquirell.domain.schedule import Schedule, StoredSchedule
from esquirell.domain.tasks import TaskRegistry
from esquirell.services.commands import Commands
from esquirell.services.edits import Edits
from esquirell.services.health import Health
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
            raise UnavailableError("the database is away")
        self.records[record.id] = record

    def finish(self, command_id: str, at: datetime, answer: Answer, *, told: bool) -> None:
        old = self.records[command_id]
        self.records[command_id] = replace(
            old, ended_at=at, answer=answer, reply=None if told else old.reply
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

    def prune(self, before: datetime) -> int:
        old = [one.id for one in self.records.values() if one.at < before]
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
    def roles(self) -> Mapping[str, str]:
        return {"worker": "2026-11-22T10:00:00.000Z"}


class Backlog:
    length = 3
    oldest_s = 1.5


class Queues:
    def backlog(self) -> Backlog:
        return Backlog()


class HeatArguments(BaseModel):
    model_config = ConfigDict(extra="forbid")

    degrees: float
    room: str = "hall"


class HeatTask:
    """Heat a room."""

    name = "my_house.tasks.heat"


class FetchTask:
    """Read all meters."""

    name = FETCH


class Bench:
    def __init__(self, *stored: StoredSchedule) -> None:
        self.store = ScheduleStore(*stored)
        self.timetable = Timetable()
        self.clock = Clock()
        self.log = CommandLog()
        self.sender = Sender()
        self.tasks = TaskRegistry()
        self.tasks.add(FetchTask(), FetchArguments)
        self.tasks.add(HeatTask(), HeatArguments)
        self.schedules = Schedules(self.store, self.timetable, self.clock)
        self.jobs = Jobs(self.log, self.sender, self.clock)
        self.readings = ReadingStore()
        health = Health(self.meters, self.readings, Presence(), Queues(), lambda: 0, self.clock)
        edits = Edits(self.store, self.timetable, self.tasks, self.meters)
        self.commands = Commands(edits, self.schedules, self.jobs, health, self.tasks)

    def meters(self) -> Sequence[Any]:
        return [meter("main"), meter("garage")]

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


def test_a_schedule_from_its_adding_to_its_removal() -> None:
    bench = Bench(from_file())
    added = bench.ok("schedule/add", name="fast", every=5, meters=["main"])
    assert (added["task"], added["every"], added["meters"], added["origin"]) == (
        "fetch_and_save_energy_data",
        5,
        ["main"],
        "user",
    )
    assert sorted(added) == sorted(STATE)
    assert bench.ok("schedule/set", name="fast", every=7)["every"] == 7
    assert not bench.ok("schedule/disable", name="fast")["enabled"]
    assert "fast" not in bench.timetable.entries
    assert bench.ok("schedule/enable", name="fast")["enabled"]
    assert bench.timetable.entries["fast"].every == 7
    listed = bench.ok("schedule/list")["schedules"]
    assert [one["name"] for one in listed] == ["fetch", "fast"]
    assert bench.ok("schedule/remove", name="fast") == {"name": "fast"}
    assert set(bench.store.rows) == {"fetch"}
    assert bench.timetable.announced == 5


def test_a_crontab_takes_the_place_of_an_interval_and_back() -> None:
    bench = Bench(from_file())
    changed = bench.ok("schedule/set", name="fetch", cron="0 3 * * *", timezone="Asia/Tokyo")
    assert (changed["every"], changed["cron"], changed["timezone"]) == (
        None,
        "0 3 * * *",
        "Asia/Tokyo",
    )
    changed = bench.ok("schedule/set", name="fetch", every=9)
    assert (changed["every"], changed["cron"], changed["timezone"]) == (9, None, None)


def test_null_means_all_meters_and_the_default_expiry() -> None:
    bench = Bench(from_file(meters=["main"], expires=30))
    changed = bench.ok("schedule/set", name="fetch", meters=None, expires=None)
    assert (changed["meters"], changed["expires"]) == (None, None)


def test_a_removed_default_stays_away_until_it_is_reset_or_added() -> None:
    bench = Bench(from_file())
    bench.ok("schedule/remove", name="fetch")
    assert bench.store.rows["fetch"].removed
    assert bench.code("schedule/set", name="fetch", every=5) == "unknown_schedule"
    assert bench.ok("schedule/reset", name="fetch")["every"] == 60
    bench.ok("schedule/remove", name="fetch")
    assert bench.ok("schedule/add", name="fetch", cron="0 4 * * *")["every"] is None


def test_reset_forgets_what_a_user_changed() -> None:
    bench = Bench(from_file())
    bench.ok("schedule/set", name="fetch", every=5, enabled=False)
    assert bench.ok("schedule/reset", name="fetch") == bench.ok("schedule/list")["schedules"][0]
    assert bench.store.rows["fetch"].origin == "config"


@pytest.mark.parametrize(
    ("command", "data", "code"),
    [
        ("schedule/add", {"name": "fetch", "every": 5}, "already_exists"),
        ("schedule/add", {"name": "Bad Name", "every": 5}, "invalid_payload"),
        ("schedule/add", {"name": "x"}, "invalid_payload"),
        ("schedule/add", {"name": "x", "every": 0}, "invalid_payload"),
        ("schedule/add", {"name": "x", "every": 5, "cron": "* * * * *"}, "invalid_payload"),
        ("schedule/add", {"name": "x", "cron": "never"}, "invalid_payload"),
        ("schedule/add", {"name": "x", "every": 5, "odd": 1}, "invalid_payload"),
        ("schedule/add", {"name": "x", "every": 5, "expires": 10**12}, "invalid_payload"),
        ("schedule/add", {"name": "x", "every": 5, "meters": ["attic"]}, "unknown_meter"),
        ("schedule/add", {"name": "x", "every": 5, "task": "os.system"}, "unknown_task"),
        ("schedule/add", {"name": "x", "every": 5, "args": {"a": 1}}, "invalid_payload"),
        ("schedule/add", {"name": "x", "every": True}, "invalid_payload"),
        ("schedule/add", {"name": "x", "every": 5, "expires": True}, "invalid_payload"),
        ("schedule/set", {"name": "fetch"}, "invalid_payload"),
        ("schedule/set", {"name": "fetch", "every": True}, "invalid_payload"),
        ("schedule/set", {"name": "fetch", "every": 5, "args": None}, "invalid_payload"),
        ("schedule/set", {"name": "fetch", "every": 5, "enabled": None}, "invalid_payload"),
        ("schedule/set", {"every": 5}, "invalid_payload"),
        ("schedule/set", {"name": "nosuch", "every": 5}, "unknown_schedule"),
        ("schedule/set", {"name": "fetch", "timezone": "UTC"}, "invalid_payload"),
        ("schedule/reset", {"name": "nosuch"}, "unknown_schedule"),
        ("schedule/run", {"name": "nosuch"}, "unknown_schedule"),
        ("fetch", {"meters": ["attic"]}, "unknown_meter"),
        ("fetch", {"meters": "main"}, "invalid_payload"),
        ("meter/test", {"name": "attic"}, "unknown_meter"),
        ("task/run", {"task": "esquirell.tasks.test_meter"}, "unknown_task"),
        ("task/run", {"task": "my_house.tasks.heat"}, "invalid_payload"),
        ("task/run", {"task": "my_house.tasks.heat", "args": {"degrees": "x"}}, "invalid_payload"),
        ("schedule/blow_up", {}, "unknown_command"),
    ],
)
def test_what_is_wrong_is_answered_with_its_code(
    command: str, data: dict[str, Any], code: str
) -> None:
    bench = Bench(from_file())
    before = dict(bench.store.rows)
    assert bench.code(command, **data) == code
    assert bench.store.rows == before
    assert bench.sender.sent == []


@pytest.mark.parametrize(
    ("command", "data", "sent"),
    [
        ("fetch", {}, (FETCH, {}, None)),
        ("fetch", {"meters": ["main"]}, (FETCH, {"meters": ["main"]}, None)),
        ("meter/test", {"name": "main"}, ("esquirell.tasks.test_meter", {"name": "main"}, None)),
        ("schedule/run", {"name": "fetch"}, (FETCH, {}, "fetch")),
        ("task/run", {"task": "fetch_and_save_energy_data"}, (FETCH, {}, None)),
        (
            "task/run",
            {"task": "my_house.tasks.heat", "args": {"degrees": 21}},
            ("my_house.tasks.heat", {"degrees": 21.0}, None),
        ),
    ],
)
def test_long_work_is_accepted_and_sent(
    command: str, data: dict[str, Any], sent: tuple[str, dict[str, Any], str | None]
) -> None:
    bench = Bench(from_file())
    answer = bench.ask(command, **data)
    assert answer["status"] == "accepted"
    assert set(answer["data"]) == {"task_id"}
    assert bench.sender.sent == [sent]


def test_the_end_of_long_work_has_the_shape_of_its_command() -> None:
    bench = Bench(from_file())
    ended = {}
    for command, data in (
        ("fetch", {}),
        ("meter/test", {"name": "main"}),
        ("schedule/run", {"name": "fetch"}),
    ):
        task_id = bench.ask(command, **data)["data"]["task_id"]
        bench.jobs.finished(task_id, Answer("ok"), {"meters": {}})
        ended[command] = bench.jobs.wait(task_id, 1).data
    assert set(ended["fetch"]) == {"task_id", "meters"}
    assert ended["meter/test"] == {"meters": {}}
    assert ended["schedule/run"]["result"] == {"meters": {}}


def test_the_same_transaction_runs_once() -> None:
    bench = Bench(from_file())
    first = bench.ask("fetch", meters=["main"], transaction="t1")
    assert bench.ask("fetch", meters=["main"], transaction="t1") == first
    bench.jobs.finished(first["data"]["task_id"], Answer("ok"), {"meters": {}})
    assert bench.ask("fetch", meters=["main"], transaction="t1")["status"] == "ok"
    assert len(bench.sender.sent) == 1
    assert bench.code("fetch", meters=["garage"], transaction="t1") == "invalid_payload"
    bench.clock.advance(301)
    assert bench.ask("fetch", meters=["main"], transaction="t1")["status"] == "accepted"
    assert len(bench.sender.sent) == 2


def test_a_transaction_belongs_to_its_command_and_name() -> None:
    bench = Bench(from_file())
    bench.ok("schedule/add", name="other", every=5, transaction=1)
    assert bench.ok("schedule/set", name="fetch", every=5, transaction=1)["name"] == "fetch"
    assert bench.ok("schedule/set", name="other", every=5, transaction=1)["name"] == "other"
    assert bench.ask("fetch", transaction=1)["status"] == "accepted"


def test_a_transaction_belongs_to_the_meter_that_its_topic_names() -> None:
    bench = Bench(from_file())
    for name in ("main", "garage", "main"):
        data = {"meters": [name], "transaction": 1}
        answer = bench.commands.handle(Request("mqtt", "fetch", data, about=name))
        assert answer.status == "accepted"
    assert [kwargs["meters"] for _, kwargs, _ in bench.sender.sent] == [["main"], ["garage"]]


def test_a_change_that_was_cut_off_is_done_when_it_comes_again() -> None:
    """As after a power cut between the record of the command and its end."""
    bench = Bench(from_file())
    request = Request("mqtt", "schedule/set", {"name": "fetch", "every": 5, "transaction": 1})
    record, _ = bench.jobs.open(request)
    assert bench.ok(request.command, **request.data)["every"] == 5
    assert bench.log.records[record.id].answer is not None
    assert len(bench.log.records) == 1


def test_a_schedule_removed_by_another_meanwhile_is_unknown() -> None:
    class Forgetful(Timetable):
        def announce(self) -> None:
            bench.store.rows.clear()

    bench = Bench(from_file())
    bench.schedules._timetable = Forgetful()
    assert bench.code("schedule/set", name="fetch", every=5) == "unknown_schedule"


def test_an_unknown_command_is_not_repeated_at_length() -> None:
    answer = Bench().ask("x" * 60_000)
    assert answer["code"] == "unknown_command"
    assert len(answer["error"]) < 500


def test_without_a_database_nothing_is_done() -> None:
    bench = Bench(from_file())
    bench.log.away = True
    assert bench.code("fetch") == "unavailable"
    assert bench.code("schedule/set", name="fetch", every=5) == "unavailable"
    assert bench.store.rows["fetch"].overrides == {}


def test_without_redis_long_work_is_refused_and_a_change_is_kept() -> None:
    bench = Bench(from_file())
    bench.sender.away = bench.timetable.away = True
    assert bench.code("fetch") == "unavailable"
    assert bench.ok("schedule/set", name="fetch", every=5)["every"] == 5


def test_a_schedule_of_a_user_is_not_changed_by_one_of_that_name_in_the_file() -> None:
    bench = Bench()
    bench.ok("schedule/add", name="mine", cron="0 3 * * *")
    bench.schedules.adopt([Schedule(name="mine", every=5, meters=("main",), enabled=False)])
    (mine,) = bench.ok("schedule/list")["schedules"]
    assert (mine["cron"], mine["every"], mine["meters"], mine["enabled"]) == (
        "0 3 * * *",
        None,
        None,
        True,
    )


def test_an_unforeseen_fault_ends_its_record() -> None:
    bench = Bench(from_file())
    bench.timetable.check = lambda _: 1 / 0  # type: ignore[method-assign,assignment] # a fault
    assert bench.code("schedule/set", name="fetch", every=5, transaction=1) == "internal"
    assert bench.code("schedule/set", name="fetch", every=5, transaction=1) == "internal"


def test_lost_work_is_given_up() -> None:
    bench = Bench(from_file())
    lost = bench.ask("fetch")["data"]["task_id"]
    long = bench.ask("schedule/run", name="fetch")["data"]["task_id"]
    bench.clock.advance(121)
    bench.jobs.tidy()
    answer = bench.log.records[lost].answer
    assert answer is not None
    assert answer.code == "timeout"
    assert bench.log.records[long].answer is None
    bench.clock.advance(3600)
    bench.jobs.tidy()
    assert bench.log.records[long].answer is not None


def test_old_commands_are_forgotten() -> None:
    bench = Bench(from_file())
    bench.ok("schedule/set", name="fetch", every=5)
    bench.clock.advance(89 * 86_400)
    bench.jobs.tidy()
    assert len(bench.log.records) == 1
    bench.clock.advance(2 * 86_400)
    bench.jobs.tidy()
    assert bench.log.records == {}


def test_waiting_in_vain_is_a_timeout() -> None:
    bench = Bench(from_file())
    task_id = bench.ask("fetch")["data"]["task_id"]
    with pytest.raises(CommandError, match="no worker has answered"):
        bench.jobs.wait(task_id, 0.1)


def test_looking_is_not_recorded() -> None:
    bench = Bench(from_file())
    assert bench.ok("task/list")["tasks"][1]["args"]["required"] == ["degrees"]
    assert [one["name"] for one in bench.ok("meter/list")["meters"]] == ["main", "garage"]
    health = bench.ok("health")
    assert health["queue"] == {"length": 3, "oldest_s": 1.5}
    assert health["roles"]["worker"]["alive"]
    assert not health["healthy"]
    assert bench.log.records == {}


def test_every_command_has_a_schema() -> None:
    assert set(schemas()) == set(COMMANDS)
    assert schemas()["schedule/add"]["properties"]["every"]


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"{", "invalid_json"),
        (b"\xff", "invalid_json"),
        (b'{"a": NaN}', "invalid_json"),
        (b'{"a": 1e999}', "invalid_json"),
        (b'{"a": "\\ud800"}', "invalid_json"),
        (b"[" * 50_000, "invalid_json"),
        (b"[]", "invalid_payload"),
        (b"3", "invalid_payload"),
        (b" " * 65_537, "too_large"),
    ],
)
def test_a_payload_that_is_none_is_refused(payload: bytes, code: str) -> None:
    with pytest.raises(CommandError) as caught:
        read_json(payload)
    assert caught.value.code == code


@pytest.mark.parametrize("payload", [b"", b"  ", b"{}"])
def test_nothing_is_an_empty_object(payload: bytes) -> None:
    assert read_json(payload) == {}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
fields = st.sampled_from([*STATE, "transaction", "odd"])


@given(st.sampled_from([*COMMANDS, "odd"]), st.dictionaries(fields, json_values, max_size=5))
def test_any_payload_is_answered(command: str, data: dict[str, Any]) -> None:
    bench = Bench(from_file())
    answer = bench.commands.handle(Request("mqtt", command, data)).payload()
    assert answer.get("code") != "internal"
    assert answer["status"] in {"ok", "accepted", "error"}
