from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.commanding import STATE, Bench, from_file
from support.fakes import Timetable

from esquirell.domain.command import Request
from esquirell.domain.schedule import Schedule
from esquirell.services import edits
from esquirell.services.command_table import COMMANDS


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
    before = dict(bench.store.rows)
    assert bench.code("schedule/set", name="fetch", every=5) == "unknown_schedule"
    refused = bench.ask("schedule/remove", name="fetch")
    assert refused["error"] == "there is no schedule fetch; known: none"
    assert bench.store.rows == before
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
def test_errors_are_answered_with_their_code(command: str, data: dict[str, Any], code: str) -> None:
    bench = Bench(from_file())
    before = dict(bench.store.rows)
    assert bench.code(command, **data) == code
    assert bench.store.rows == before
    assert bench.sender.sent == []


@pytest.mark.parametrize(
    ("command", "data", "sentence"),
    [
        ("schedule/remove", {"name": "feth"}, "there is no schedule feth; did you mean 'fetch'?"),
        ("fetch", {"meters": ["attic"]}, "there is no meter attic; known: main, garage"),
    ],
)
def test_an_unknown_name_is_answered_with_the_known_ones(
    command: str, data: dict[str, Any], sentence: str
) -> None:
    assert Bench(from_file()).ask(command, **data)["error"] == sentence


REFUSED = [
    ("task/run", {"task": "no.such.task"}, "unknown_task"),
    ("task/run", {"task": "my_house.tasks.heat"}, "invalid_payload"),
    ("schedule/add", {"name": "x", "every": 5, "task": "my_house.tasks.heat"}, "invalid_payload"),
    ("schedule/set", {"name": "fetch"}, "invalid_payload"),
]


@pytest.mark.parametrize(("command", "data", "code"), REFUSED)
def test_the_arguments_of_a_refused_command_are_not_kept(
    command: str, data: dict[str, Any], code: str
) -> None:
    bench = Bench(from_file())
    for said in ("hunter2", "another"):
        answer = bench.ask(command, **data, args={"pin": said}, transaction="t")
        assert answer["code"] == code, "a repeat is judged anew"
    assert len(bench.log.records) == 2
    assert "hunter2" not in str(bench.log.records)
    assert all(record.request["args"] == "***" for record in bench.log.records.values())


def test_those_of_a_task_that_no_worker_can_be_given_are_not_kept() -> None:
    bench = Bench(from_file())
    bench.sender.away = True
    args = {"degrees": 21}
    assert bench.code("task/run", task="my_house.tasks.heat", args=args) == "unavailable"
    (record,) = bench.log.records.values()
    assert record.request["args"] == "***"
    bench.sender.away = False
    bench.ask("task/run", task="my_house.tasks.heat", args=args)
    assert list(bench.log.records.values())[1].request["args"] == args


def test_there_are_so_many_schedules_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edits, "MOST_SCHEDULES", 2)
    bench = Bench(from_file())
    bench.ok("schedule/add", name="second", every=5)
    refused = bench.ask("schedule/add", name="third", every=5)
    assert refused["code"] == "invalid_payload"
    assert refused["error"] == "there are 2 schedules, which is the limit: remove some"
    bench.ok("schedule/remove", name="fetch")
    bench.ok("schedule/add", name="third", every=5)


def test_a_schedule_removed_by_another_meanwhile_is_unknown() -> None:
    class Forgetful(Timetable):
        def announce(self) -> None:
            bench.store.rows.clear()

    bench = Bench(from_file(), timetable=Forgetful())
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


def test_looking_is_not_recorded() -> None:
    bench = Bench(from_file())
    assert bench.ok("task/list")["tasks"][1]["args"]["required"] == ["degrees"]
    assert [one["name"] for one in bench.ok("meter/list")["meters"]] == ["main", "garage"]
    health = bench.ok("health")
    assert health["queue"] == {"length": 3, "oldest_s": 1.5}
    assert health["roles"]["worker"]["alive"]
    assert not health["healthy"]
    assert bench.log.records == {}


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
