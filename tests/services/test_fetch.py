"""Reading meters by name: who is asked, what comes of each, and what the answer says."""

from collections.abc import Sequence
from typing import Any

import pytest
from support import fakes
from support.workers import Ownership, Post

from esquirell import profiles
from esquirell.domain.errors import CommandError, FetchError, MeterUnreachableError
from esquirell.domain.meter import Meter
from esquirell.services.delivery import Delivery
from esquirell.services.fetch import Fetch, check_fetched, fetch_answer
from esquirell.services.poll import Poller
from esquirell.services.remote_reads import RemoteReads
from esquirell.services.saving import Saver

ANSWER = {"101": 2360}
OK = {"status": "ok", "measured_at": "2026-11-22T10:15:00.000Z"}


def nothing() -> None:
    """Cancel nothing."""


class Bench:
    """A worker that reads m0 and m3; `b` m1 and m4, `c` m2; the queue moor is unserved."""

    def __init__(self, *more: Meter) -> None:
        self.post = Post()
        self.meters = [*(fakes.meter(f"m{number}") for number in range(5)), *more]
        self.transport = fakes.Transport(**{one.name: ANSWER for one in self.meters})
        self.publisher, self.store = fakes.Publisher(), fakes.ReadingStore()
        self.captured: list[str] = []
        delivery = Delivery(profiles.Choices(), Saver(self.store, fakes.Spool()), self.publisher)
        self.poller = Poller(self.transport, profiles.Choices(), delivery, fakes.Clock())
        remote = RemoteReads(self.post, Ownership(), lambda: self.post.uptime_s)
        self.fetch = Fetch(self.poller, lambda: self.meters, remote, self.capture)

    def capture(self, meter: Meter) -> dict[str, Any]:
        self.captured.append(meter.name)
        return {"dps": {"1": 2}}

    @property
    def asked(self) -> list[str]:
        return sorted(name for name, _, _ in self.transport.asked)

    @property
    def sent(self) -> list[tuple[str, str, Sequence[str]]]:
        return list(self.post.sent.values())


@pytest.mark.parametrize("kind", ["scheduled", "on_demand"])
def test_all_meters_are_read_each_by_its_worker(kind: str) -> None:
    bench = Bench(fakes.meter("m6", enabled=False))
    found = getattr(bench.fetch, kind)(None, nothing)["meters"]
    assert list(found) == ["m0", "m1", "m2", "m3", "m4"]
    assert bench.asked == ["m0", "m3"]
    batches = [one for one in bench.sent if not one[1].startswith("guard:")]
    assert batches == [("b", kind, ["m1", "m4"]), ("c", kind, ["m2"])]
    assert found["m0"] == OK
    assert {meter for meter, _ in bench.store.rows} == {"m0", "m3"}
    assert len(bench.publisher.readings) == 2


def test_only_what_is_asked_for_overrides_a_cool_down() -> None:
    bench = Bench()
    bench.fetch.scheduled(["m0"], nothing)
    bench.fetch.on_demand(["m0"], nothing)
    assert [forced for _, _, forced in bench.transport.asked] == [False, True]


def test_meters_of_an_unserved_queue_fail_and_the_others_do_not() -> None:
    bench = Bench(fakes.meter("m6", queue="moor"))
    found = bench.fetch.scheduled(["m6", "m0", "m0"], nothing)["meters"]
    assert list(found) == ["m6", "m0"]
    assert (found["m0"], found["m6"]["code"]) == (OK, "unreachable")
    assert "no worker serves queue moor" in found["m6"]["error"]
    (status,) = [status for name, status in bench.publisher.statuses if name == "m6"]
    assert (status.failures, status.reason) == (1, "unreachable")


def test_a_poll_that_is_over_takes_no_meters_from_the_next_one() -> None:
    bench = Bench()
    for _ in range(2):
        bench.fetch.scheduled(["m1"], nothing)
        bench.post.uptime_s += 60
    assert [kind for _, kind, _ in bench.sent] == ["scheduled", "scheduled"]


def test_a_cancelled_poll_ends_and_takes_no_meters_from_the_next_one() -> None:
    bench = Bench()

    def cancelled() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.fetch.scheduled(["m1"], cancelled)
    bench.post.uptime_s += 60
    assert list(bench.fetch.scheduled(["m1"], nothing)["meters"]) == ["m1"]


def test_a_trial_returns_the_reading_and_stores_nothing() -> None:
    bench = Bench()
    found = bench.fetch.trial("m0")
    assert (found["name"], found["reading"]["voltage_a"]) == ("m0", 236.0)
    assert found["duration_ms"] >= 0
    assert (bench.store.rows, bench.publisher.readings) == ({}, [])
    assert [forced for _, _, forced in bench.transport.asked] == [True]


def test_a_trial_of_a_failing_meter_raises_its_error() -> None:
    bench = Bench()
    bench.transport.scripts["m0"] = MeterUnreachableError("no_data", "it said nothing")
    with pytest.raises(MeterUnreachableError, match="it said nothing"):
        bench.fetch.trial("m0")


def test_a_capture_is_taken_where_the_meter_is() -> None:
    bench = Bench()
    assert bench.fetch.capture("m0") == {"dps": {"1": 2}}
    assert bench.fetch.capture("m1") == {"status": "ok"}
    assert (bench.captured, bench.asked) == (["m0"], [])
    assert bench.sent == [("b", "capture", ["m1"])]


def test_a_trial_that_its_worker_does_not_answer_is_made_here() -> None:
    bench = Bench()
    bench.post.deaf.add("b")
    assert bench.fetch.trial("m1")["reading"]["voltage_a"] == 236.0


def test_a_trial_of_a_meter_on_an_unserved_queue_is_an_error() -> None:
    with pytest.raises(MeterUnreachableError, match="no worker serves queue moor"):
        Bench(fakes.meter("m6", queue="moor")).fetch.trial("m6")


@pytest.mark.parametrize(("kind", "saved", "published"), [("scheduled", 2, 2), ("on_demand", 2, 2)])
def test_a_batch_of_another_worker_is_read_here_whoever_owns_the_meters(
    kind: str, saved: int, published: int
) -> None:
    bench = Bench()
    found = bench.fetch.batch(kind, ["m1", "m4"])
    assert found == {"meters": {"m1": OK, "m4": OK}}
    assert (len(bench.store.rows), len(bench.publisher.readings)) == (saved, published)
    assert bench.sent == []


def test_a_batch_of_one_is_a_trial_or_a_capture() -> None:
    bench = Bench()
    assert bench.fetch.batch("capture", ["m1"]) == {"dps": {"1": 2}}
    assert bench.fetch.batch("trial", ["m1"])["name"] == "m1"
    assert bench.store.rows == {}


def test_what_a_process_without_lines_sends_is_split_once_more() -> None:
    bench = Bench()
    found = bench.fetch.batch("split:scheduled", ["m0", "m1"])["meters"]
    assert list(found) == ["m0", "m1"]
    assert bench.asked == ["m0"]
    assert ("b", "scheduled", ["m1"]) in bench.sent
    assert bench.fetch.batch("split:capture", ["m0"]) == {"dps": {"1": 2}}


def test_a_standby_worker_reads_once_the_other_is_gone() -> None:
    bench = Bench()
    bench.post.sent["7"] = ("gone", "", [])
    bench.post.dying.add("gone")
    assert bench.fetch.batch("guard:7:scheduled", ["m1"]) == {"meters": {"m1": OK}}
    bench.post.sent["8"] = ("b", "", [])
    assert bench.fetch.batch("guard:8:scheduled", ["m4"]) == {"meters": {}}
    assert bench.asked == ["m1"]


@pytest.mark.parametrize(
    ("names", "code", "says"),
    [
        (["m0", "x"], "unknown_meter", "there is no meter x; known: m0, m1, m2, m3, m4, m6"),
        (["m6"], "unavailable", "m6 is not read: set enabled = true for it"),
    ],
)
def test_names_that_can_t_be_read_are_refused_and_nothing_is_asked(
    names: list[str], code: str, says: str
) -> None:
    bench = Bench(fakes.meter("m6", enabled=False))
    with pytest.raises(CommandError) as raised:
        bench.fetch.scheduled(names, nothing)
    assert (raised.value.code, str(raised.value)) == (code, says)
    assert bench.asked == []


def test_without_meters_the_answer_is_empty() -> None:
    bench = Bench()
    bench.meters = []
    assert bench.fetch.scheduled(None, nothing) == {"meters": {}}
    with pytest.raises(CommandError, match="known: none is configured"):
        bench.fetch.chosen(["x"])


def failed(*codes: str) -> dict[str, dict[str, str]]:
    return {
        f"m{number}": {"status": "error", "code": code, "error": f"m{number} is {code}"}
        for number, code in enumerate(codes)
    }


def test_an_answer_is_ok_only_when_every_meter_is() -> None:
    assert fetch_answer({"m9": OK}).status == "ok"
    answer = fetch_answer({"m9": OK} | failed("no_data", "rejected"))
    assert (answer.status, answer.code) == ("error", "no_data")
    assert answer.error == "m0 is no_data; m1 is rejected"
    assert list(answer.data["meters"]) == ["m9", "m0", "m1"]


@pytest.mark.parametrize(
    ("count", "end"), [(5, "m4 is x"), (6, "m4 is x; and 1 more meters failed")]
)
def test_an_answer_names_five_at_most(count: int, end: str) -> None:
    answer = fetch_answer(failed(*["x"] * count))
    assert answer.error
    assert answer.error.endswith(end)


def test_a_task_fails_when_meters_were_asked_and_none_was_read() -> None:
    check_fetched({})
    check_fetched({"m9": OK} | failed("no_data"))
    with pytest.raises(FetchError) as raised:
        check_fetched(failed("no_data", "no_data"))
    assert (raised.value.code, str(raised.value)) == ("no_data", "m0 is no_data; m1 is no_data")
