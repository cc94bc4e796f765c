"""Which meters a poll reads, and when: side by side, joined, cut short."""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import pytest
from support.fakes import ReadingStore, meter
from support.poll_bench import Bench
from support.waiting import LIMIT_S, eventually

from esquirell.domain.profile import Datapoint, Profile
from esquirell.domain.reading import Ledger, MeterStatus, Reading
from esquirell.services.poll import ON_DEMAND, SCHEDULED, TRIAL, question_of


def test_meters_are_read_in_parallel_and_an_unreachable_one_delays_no_other() -> None:
    bench = Bench(live={"101": 2301})
    bench.transport.scripts["dead"] = bench.transport.hang
    got: dict[str, object] = {}
    polling = threading.Thread(
        target=lambda: got.update(bench.poller.poll([meter("dead"), meter("live")]))
    )
    polling.start()
    eventually(lambda: bench.store.rows)
    assert polling.is_alive()
    bench.transport.close()
    polling.join(LIMIT_S)
    assert set(got) == {"dead", "live"}


def test_a_scheduled_poll_leaves_out_a_meter_under_way_and_a_command_joins_it() -> None:
    bench = Bench()
    bench.transport.scripts["main"] = bench.transport.hang
    first = threading.Thread(target=bench.poller.poll, args=([meter()],))
    first.start()
    eventually(lambda: bench.poller.reads.has("main"))
    assert bench.poller.poll([meter()], SCHEDULED) == {}
    threading.Timer(0.2, bench.transport.close).start()
    joined = bench.poller.poll([meter()], ON_DEMAND)
    first.join(LIMIT_S)
    assert joined["main"].payload()["code"] == "unreachable"
    assert len(bench.transport.asked) == 1


def test_a_fetch_that_joins_a_trial_saves_and_publishes_all_the_same() -> None:
    go = threading.Event()

    def land() -> dict[str, int]:
        go.wait(LIMIT_S)
        return {"101": 2360}

    bench = Bench(main=land)
    trial = threading.Thread(target=bench.poller.poll, args=([meter()], TRIAL))
    trial.start()
    eventually(lambda: bench.poller.reads.has("main"))
    threading.Timer(0.1, go.set).start()
    assert bench.poller.poll([meter()], ON_DEMAND)["main"].ok
    trial.join(LIMIT_S)
    assert (len(bench.store.rows), len(bench.publisher.readings)) == (1, 1)
    assert len(bench.transport.asked) == 1


def test_a_read_that_two_polls_share_is_published_once() -> None:
    go = threading.Event()

    def land() -> dict[str, int]:
        go.wait(LIMIT_S)
        return {"101": 2360}

    bench = Bench(main=land)
    first = threading.Thread(target=bench.poller.poll, args=([meter()],))
    first.start()
    eventually(lambda: bench.poller.reads.has("main"))
    threading.Timer(0.1, go.set).start()
    assert bench.poller.poll([meter()], ON_DEMAND)["main"].ok
    first.join(LIMIT_S)
    assert len(bench.publisher.readings) == 1
    assert len(bench.store.rows) == 1


def test_a_poll_takes_what_was_read_just_before_and_no_read_that_ended_long_ago() -> None:
    bench = Bench(main={"101": 2360})
    sharing = replace(SCHEDULED, shared_s=60.0)
    assert bench.poller.poll([meter()], SCHEDULED)["main"].ok
    assert bench.poller.poll([meter()], sharing)["main"].ok
    assert len(bench.transport.asked) == 1
    assert bench.poller.poll([meter()], replace(SCHEDULED, shared_s=0.0))["main"].ok
    assert len(bench.transport.asked) == 2


def test_ledgers_that_can_not_be_looked_up_are_unknown() -> None:
    bench = Bench(main={"101": 2360})
    ledgers = bench.poller.ledgers
    bench.store.away = True
    assert not ledgers.prepare(["main"])
    assert ledgers.unknown(["main"]) == {"main"}
    bench.store.away = False
    assert ledgers.prepare(["main"])
    assert ledgers.unknown(["main"]) == set()


class Watched(ReadingStore):
    """Says when ledgers are looked up, and lets that wait for something."""

    def __init__(self) -> None:
        super().__init__()
        self.waits_for: Callable[[], object] = lambda: None

    def look_up(self, names: Collection[str]) -> Callable[[], dict[str, Ledger]]:
        def found() -> dict[str, Ledger]:
            self.waits_for()
            return self.ledgers(names)

        return found


class WatchedBench(Bench):
    store: Watched
    make_store = Watched


def test_a_meter_is_asked_while_its_counters_are_looked_up() -> None:
    bench = WatchedBench(main={"131": 1000})
    assert bench.poller.poll([meter()])["main"].ok
    asked = len(bench.transport.asked)
    bench.store.waits_for = lambda: eventually(lambda: len(bench.transport.asked) > asked)
    assert bench.poller.poll([meter()])["main"].ok


class NotWantedError(Exception):
    """What ends the work in this test."""


def test_a_cancelled_poll_ends_soon() -> None:
    bench = Bench(live={"101": 2301})
    bench.transport.scripts["dead"] = bench.transport.hang

    def wanted() -> None:
        if bench.store.rows:
            raise NotWantedError

    with pytest.raises(NotWantedError):
        bench.poller.poll([meter("dead"), meter("live")], ON_DEMAND, wanted)
    assert [row.meter for row in bench.store.rows.values()] == ["live"]
    bench.transport.close()


def test_a_trial_stores_and_publishes_nothing() -> None:
    bench = Bench(main={"101": 2360})
    assert bench.poller.poll([meter()], TRIAL)["main"].ok
    assert (bench.store.transactions, bench.publisher.readings) == (0, [])


def test_readings_that_land_together_share_a_transaction() -> None:
    barrier = threading.Barrier(20)

    def land() -> dict[str, int]:
        barrier.wait(LIMIT_S)
        return {"101": 2360}

    names = [f"m{number}" for number in range(20)]
    bench = Bench()
    bench.transport.scripts |= dict.fromkeys(names, land)
    bench.store.pause_s = 0.05
    bench.poller.poll([meter(name) for name in names])
    assert len(bench.store.rows) == 20
    assert bench.store.transactions < 20


def test_after_stop_no_read_begins_and_those_under_way_are_cut() -> None:
    bench = Bench(main={"101": 2360})
    bench.poller.stop()
    assert bench.poller.poll([meter()])["main"].payload()["code"] == "unavailable"
    assert bench.transport.closed.wait(LIMIT_S)


def test_at_the_end_a_poll_under_way_stores_what_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process may end as soon as everything is closed."""
    bench = Bench(main={"101": 2360})
    add, storing, may_store = bench.store.add, threading.Event(), threading.Event()

    def add_later(readings: Sequence[Reading], statuses: Mapping[str, MeterStatus]) -> None:
        storing.set()
        assert may_store.wait(LIMIT_S)
        add(readings, statuses)

    monkeypatch.setattr(bench.store, "add", add_later)
    poll = threading.Thread(target=bench.poller.poll, args=([meter()],))
    poll.start()
    assert storing.wait(LIMIT_S)
    threading.Timer(0.1, may_store.set).start()
    bench.poller.close()
    assert len(bench.store.rows) == 1
    poll.join(LIMIT_S)


def test_the_profiles_refresh_is_sent_to_the_meter() -> None:
    bench = Bench(plug={"20": 2300})
    bench.poller.poll([meter("plug", profile="plug")], ON_DEMAND)
    assert bench.transport.asked == [("plug", (18, 19, 20), True)]


def test_a_meter_is_asked_for_what_its_profile_measures_by_id() -> None:
    points = {
        "6": Datapoint(code="phase_a", frame="auto", suffix="a"),
        "9": Datapoint(code="fault"),
        "17": Datapoint(code="add_ele", adds="energy_import", divisor=1000),
        "18": Datapoint(code="cur_current", key="current", divisor=1000),
        "20": Datapoint(code="forward_energy_total", key="energy_import_a", divisor=100),
        "cur_power": Datapoint(code="cur_power", key="active_power"),
    }
    profile = Profile(name="own", title="Own", refresh=(18,), datapoints=points)
    question = question_of(meter(), profile)
    assert question.refresh == (18,)
    assert question.ids == {"6", "18", "20"}
    assert question.counters == {"20"}
    assert question.increments == {"17"}
    assert not question.forced
    # Which side an inverted meter adds to is not known, nor what one adds that is only polled.
    for other in (meter(invert=True), meter(push=False), meter(transport="cloud")):
        assert question_of(other, profile).increments == set()
