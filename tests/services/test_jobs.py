from typing import Any

import pytest
from support.commanding import FETCH, Bench, from_file

from esquirell.domain.command import Answer, Request
from esquirell.domain.errors import CommandError, UnavailableError
from esquirell.domain.tasks import HeldTask
from esquirell.services.command_table import COMMANDS, Change
from esquirell.services.jobs import DOUBT, EXPIRES_S, Jobs, Search


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
        ended[command] = bench.jobs.wait(task_id).data
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
    bench.clock.advance(299)
    assert bench.ask("fetch", meters=["main"], transaction="t1")["status"] == "ok"
    bench.clock.advance(2)
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


def test_an_interrupted_change_is_completed_when_repeated() -> None:
    """As after a power cut between the record of the command and its end."""
    bench = Bench(from_file())
    request = Request("mqtt", "schedule/set", {"name": "fetch", "every": 5, "transaction": 1})
    command = COMMANDS[request.command]
    assert isinstance(command, Change)
    record, _ = bench.jobs.open(request, command)
    assert bench.ok(request.command, **request.data)["every"] == 5
    assert bench.log.records[record.id].answer is not None
    assert len(bench.log.records) == 1


def test_an_unforeseen_fault_ends_its_record() -> None:
    bench = Bench(from_file())
    bench.timetable.check = lambda _: 1 / 0  # type: ignore[method-assign,assignment] # a fault
    assert bench.code("schedule/set", name="fetch", every=5, transaction=1) == "internal"
    assert bench.code("schedule/set", name="fetch", every=5, transaction=1) == "internal"


def test_lost_work_is_given_up_and_what_runs_is_not() -> None:
    bench = Bench(from_file())
    lost = bench.ask("fetch")["data"]["task_id"]
    running = bench.ask("task/run", task="my_house.tasks.heat", args={"degrees": 21})
    long = running["data"]["task_id"]
    bench.held.tasks[long] = HeldTask("here", bench.clock())
    # Nor who waits for a worker: others are before it.
    for _ in range(2):
        bench.clock.advance(50)
        bench.jobs.tidy()
    bench.clock.advance(21)
    bench.jobs.tidy()
    # Nobody may hold it for a moment only, as Redis was emptied.
    assert bench.log.records[lost].answer is None
    bench.clock.advance(30)
    bench.jobs.tidy()
    answer = bench.log.records[lost].answer
    assert answer is not None
    assert answer.code == "timeout"
    bench.clock.advance(86_400)
    bench.jobs.tidy()
    assert bench.log.records[long].answer is None
    del bench.held.tasks[long]
    bench.jobs.tidy()
    bench.clock.advance(30)
    bench.jobs.tidy()
    assert bench.log.records[long].answer is not None


def test_without_redis_no_job_is_declared_lost() -> None:
    bench = Bench(from_file())
    task_id = bench.ask("fetch")["data"]["task_id"]
    bench.held.reachable = False
    for _ in range(3):
        bench.clock.advance(3600)
        with pytest.raises(UnavailableError):
            bench.jobs.tidy()
    assert bench.log.records[task_id].answer is None


def test_old_commands_are_forgotten() -> None:
    bench = Bench(from_file())
    bench.ok("schedule/set", name="fetch", every=5)
    bench.clock.advance(89 * 86_400)
    bench.jobs.tidy()
    assert len(bench.log.records) == 1
    bench.clock.advance(2 * 86_400)
    bench.jobs.tidy()
    assert bench.log.records == {}


def test_no_command_expires_by_a_wrong_clock() -> None:
    bench, right = Bench(from_file()), [False]
    jobs = Jobs(bench.log, bench.sender, bench.held, bench.clock, is_right=lambda _: right[0])
    bench.ok("schedule/set", name="fetch", every=5)
    bench.clock.advance(365 * 86_400)
    jobs.tidy()
    assert len(bench.log.records) == 1
    # Set right again, it is looked after as before, and not in a year.
    bench.clock.advance(-300 * 86_400)
    right[0] = True
    jobs.tidy()
    assert len(bench.log.records) == 1
    bench.clock.advance(26 * 86_400)
    jobs.tidy()
    assert bench.log.records == {}


class Seconds:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_waiting_caller_learns_that_no_worker_took_the_job() -> None:
    bench, seconds = Bench(from_file()), Seconds()
    search = Search(bench.held, "id", seconds)
    seconds.now = EXPIRES_S + DOUBT.total_seconds()
    assert search.ask() is None
    seconds.now += 1
    with pytest.raises(CommandError, match="no worker took the task"):
        search.ask()


def test_a_waiting_caller_learns_that_the_worker_of_its_job_is_gone() -> None:
    bench, seconds = Bench(from_file()), Seconds()
    search = Search(bench.held, "id", seconds)
    bench.held.tasks["id"] = HeldTask("here", None)
    seconds.now = 50_000.0
    assert search.ask() == HeldTask("here", None)
    bench.held.reachable = False
    seconds.now = 90_000.0
    assert search.ask() is None
    bench.held.reachable, bench.held.tasks = True, {}
    seconds.now += DOUBT.total_seconds()
    assert search.ask() is None
    seconds.now += 1
    with pytest.raises(CommandError, match="is gone") as found:
        search.ask()
    assert found.value.code == "timeout"
