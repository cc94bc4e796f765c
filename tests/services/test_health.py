"""The health report: what is wrong, in one place, and never too long for a broker."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from support.commanding import Queues
from support.db_samples import START
from support.fakes import Clock, ReadingStore, meter

from esquirell.domain.errors import UnavailableError
from esquirell.domain.meter import Meter
from esquirell.domain.process import Process, process_of
from esquirell.domain.reading import MeterStatus, iso
from esquirell.domain.schedule import Schedule
from esquirell.runtime.self_report import INTERVALS, MOST_LATE_S, Punctuality
from esquirell.services.health import (
    MOST_FAILING,
    MOST_METERS,
    Configured,
    Health,
    LocalFacts,
    described,
)

SINCE = "2026-11-22T10:00:00.000Z"
ALL = ("worker", "beat", "bridge")


class Presence:
    def __init__(self, *processes: Process) -> None:
        self.all = processes
        self.error = ""
        self.slow = ""

    def roles(self) -> Mapping[str, str]:
        return {role: one.since for one in self.all if one.alive for role in one.roles}

    def processes(self) -> Sequence[Process]:
        if self.error:
            raise UnavailableError(self.error)
        return self.all


def health_of(
    presence: Presence,
    store: ReadingStore | None = None,
    meters: int = 1,
    here: LocalFacts | None = None,
) -> Health:
    configured = Configured(lambda: [meter(f"m{number:03}") for number in range(meters)])
    return Health(
        configured, store or ReadingStore(), presence, Queues(), here or LocalFacts(), Clock()
    )


def test_all_is_well() -> None:
    report = health_of(Presence(Process("raspi", ALL, SINCE))).report()
    assert report["healthy"] is True
    assert report["problems"] == []
    assert report["processes"] == [
        {"host": "raspi", "roles": list(ALL), "since": SINCE, "spooled": 0}
    ]
    assert report["meters"] == {"m000": {"last_success": None, "failures": 0, "reason": None}}
    assert report["database"]["spooled"] == 0


def test_each_problem_is_said_once_in_its_own_words() -> None:
    problem = "localhost:1883 can't be reached"
    store = ReadingStore()
    store.away = True
    presence = Presence(
        Process("raspi", ("worker",), SINCE, problems=(problem,), spooled=5),
        Process("raspi", ("worker",), SINCE, problems=(problem,), spooled=3),
        Process("garage", ("bridge",), SINCE, spooled=2),
    )
    report = health_of(presence, store).report()
    assert report["healthy"] is False
    assert report["problems"] == [
        "the database is unreachable",
        "no beat is alive: start esquirell run, or esquirell beat",
        problem,
    ]
    assert report["database"]["spooled"] == 7


def test_without_redis_the_others_are_not_known_and_this_process_is() -> None:
    presence = Presence()
    presence.error = "Redis refuses: READONLY"
    here = LocalFacts(
        process=lambda: Process("raspi", ALL, SINCE, problems=("the clock is doubted",))
    )
    report = health_of(presence, here=here).report()
    assert report["problems"] == ["Redis refuses: READONLY", "the clock is doubted"]
    assert (report["redis"]["ok"], report["processes"]) == (False, [])


def test_of_the_process_that_reports_the_present_counts() -> None:
    before = Process("raspi", ALL, SINCE, problems=("there is no connection yet",))
    other = Process("garage", ("worker",), SINCE, problems=("the clock is doubted",))
    here = LocalFacts(process=lambda: Process("raspi", ALL, SINCE, spooled=3))
    report = health_of(Presence(before, other), here=here).report()
    assert report["problems"] == ["the clock is doubted"]
    assert [(one["host"], one["spooled"]) for one in report["processes"]] == [
        ("raspi", 3),
        ("garage", 0),
    ]


def test_a_meter_that_answers_is_online_while_the_database_is_not_readable() -> None:
    store = ReadingStore()
    here = LocalFacts(statuses=lambda: {"m000": MeterStatus(0, None, START)})
    health = health_of(Presence(), store, meters=1, here=here)
    store.away = True
    (listed,) = health.meters()
    assert (listed["state"], listed["last_success"]) == ("online", iso(START))
    assert health.report()["meters"]["m000"]["last_success"] == iso(START)


def test_meters_that_fail_are_no_fault_of_the_service_and_the_report_stays_small() -> None:
    store = ReadingStore()
    store.kept = {f"m{number:03}": MeterStatus(2, "unreachable") for number in range(100, 300)}
    report = health_of(Presence(Process("raspi", ALL, SINCE)), store, meters=300).report()
    assert report["healthy"] is True
    assert (report["meters_total"], report["meters_failing"]) == (300, 200)
    assert list(report["meters"]) == [f"m{number:03}" for number in range(100, 100 + MOST_FAILING)]
    assert len(json.dumps(report)) < 4000


def test_all_meters_are_in_the_report_while_it_fits_a_small_packet() -> None:
    store = ReadingStore()
    names = [f"m{number:03}" for number in range(MOST_METERS)]
    store.kept = {name: MeterStatus(2, "wrong_protocol", START) for name in names}
    presence = Presence(Process("raspi", ALL, SINCE))
    report = health_of(presence, store, meters=MOST_METERS).report()
    assert list(report["meters"]) == names
    assert len(json.dumps(report)) < 12_000


def test_a_whole_cluster_in_trouble_still_fits_a_small_packet() -> None:
    problems = tuple(f"topic {number} {'x' * 200}" for number in range(8))
    everybody = [
        Process(f"host-{number}", ("worker",), SINCE, problems=problems) for number in range(50)
    ]
    report = health_of(Presence(*everybody), meters=300).report()
    assert len(report["problems"]) == 10
    assert len(json.dumps(report)) < 20_000


def test_a_description_survives_its_way() -> None:
    process = Process("raspi", ALL, SINCE, ("beat",), ("default", "yard"), 7, ("a problem",))
    assert process_of(json.loads(json.dumps(process.payload()))) == process
    assert process.silent_for(90).payload()["gone_s"] == 90
    assert not process.silent_for(90).alive


def test_a_meter_that_is_no_longer_read_is_offline() -> None:
    schedules = {"fetch": Schedule(name="fetch", every=60)}
    statuses = {"m": MeterStatus(0, None, START)}

    def state(after_s: int, known: Mapping[str, Schedule] = schedules) -> object:
        meters: list[Meter] = [meter("m")]
        (shown,) = described(meters, statuses, known, START + timedelta(seconds=after_s))
        return shown["state"]

    assert [state(after_s) for after_s in (60, 180, 181, 7200)] == [
        *("online", "online", "offline", "offline")
    ]
    assert state(7200, {}) == "online", "nobody said how often it is to be read"


class Poll:
    """A process that polls, or does not, on a clock that is set by hand."""

    def __init__(self, pace_s: int | None) -> None:
        self.pace_s, self.polled_at, self.now_s = pace_s, 0.0, 0.0
        self.away = False
        self.punctuality = Punctuality(
            self.pace, lambda: self.polled_at, lambda: datetime(2026, 11, 22, tzinfo=UTC), self.now
        )

    def pace(self) -> int | None:
        if self.away:
            raise UnavailableError("the database is unreachable")
        return self.pace_s

    def now(self) -> float:
        return self.now_s

    def problem_at(self, seconds: float) -> str:
        self.now_s = seconds
        return self.punctuality.problem()


def test_a_poll_that_is_due_and_does_not_end() -> None:
    poll = Poll(10)
    late = INTERVALS * 10 + MOST_LATE_S
    assert poll.problem_at(0) == ""
    assert poll.problem_at(late) == ""
    assert poll.problem_at(late + 1) == (
        "no poll has ended since 2026-11-21T23:59:19.000Z, though one is due every 10 s"
    )
    poll.polled_at = late
    assert poll.problem_at(late + 2) == ""


def test_a_pace_that_changes_counts_from_then() -> None:
    poll = Poll(None)
    assert poll.problem_at(10_000) == "", "nothing is due"
    poll.pace_s = 1
    assert poll.problem_at(20_000) == ""
    poll.away = True
    late = 20_000 + INTERVALS + MOST_LATE_S
    assert poll.problem_at(late) == ""
    assert poll.problem_at(late + 1) != "", "the pace of before holds while the record is away"


def test_an_interval_learnt_after_the_start_is_used_soon() -> None:
    """Meters are shared out among the workers some seconds after the start."""
    poll = Poll(None)
    assert poll.problem_at(0) == ""
    poll.pace_s = 1
    assert next(second for second in range(60) if poll.problem_at(second)) <= 35
