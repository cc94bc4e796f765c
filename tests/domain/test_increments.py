"""Energy of meters that report what they added since their last report."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter

from esquirell.domain.device import Instrument
from esquirell.domain.inference import infer
from esquirell.domain.inference.specification import specified
from esquirell.domain.judgement import judge
from esquirell.domain.reading import Ledger, Reading

LEDGER = TypeAdapter(Ledger)
START = datetime(2026, 11, 22, 10, tzinfo=UTC)
KEY = "energy_import"
POLLED = Instrument("plug", ("active_power",))
HEARD = replace(POLLED, adds=(KEY,))
# What happens in a minute: the power, what was reported, whether more may have been.
Minute = tuple[float, float | None, bool]


def judged(
    minutes: Sequence[Minute], instrument: Instrument = HEARD, ledger: Ledger | None = None
) -> Iterator[Reading]:
    begin = ledger.at + timedelta(minutes=1) if ledger else START
    for number, (watts, kwh, interrupted) in enumerate(minutes):
        taken = Reading(
            "main",
            begin + timedelta(minutes=number),
            {"active_power": watts},
            increments={} if kwh is None else {KEY: kwh},
            interrupted=interrupted,
        )
        # As it comes back from the database: the sum outlasts a restart.
        kept = LEDGER.validate_json(LEDGER.dump_json(ledger)) if ledger else None
        reading, ledger = judge(taken, kept, instrument)
        yield replace(reading, ledger=ledger)


def hours(kwh: float, count: int = 1, watts: float = 600.0) -> list[Minute]:
    """Return minutes of steady power, with an increment each ten of them."""
    return [(watts, kwh if minute % 10 == 9 else None, False) for minute in range(60 * count)]


def sums(readings: Sequence[Reading]) -> list[float]:
    return [reading.values[KEY] for reading in readings]


def test_until_the_first_increment_energy_is_estimated() -> None:
    *_, last = judged(hours(0.1)[:9])
    assert last.diagnostics["energy_source"] == "estimated"
    assert last.values[KEY] == pytest.approx(0.08)
    assert "energy_gap" not in last.diagnostics


def test_the_first_increment_takes_over_and_what_was_estimated_is_not_counted_twice() -> None:
    before, first, *_, second = list(judged(hours(0.1)))[8:20]
    assert first.diagnostics["energy_source"] == "increments"
    assert first.values[KEY] - before.values[KEY] == pytest.approx(0.01, abs=1e-6)
    assert second.values[KEY] == pytest.approx(first.values[KEY] + 0.1)


def test_increments_are_summed_and_nothing_else() -> None:
    readings = list(judged(hours(0.1, 3)))
    assert sums(readings)[-1] == pytest.approx(0.09 + 17 * 0.1)
    assert len(set(sums(readings)[10:])) == 18
    assert {one.diagnostics["energy_source"] for one in readings[9:]} == {"increments"}
    assert {one.diagnostics["energy_gap"] for one in readings[9:]} == {0.0}
    assert sums(readings) == sorted(sums(readings))


def test_a_cut_adds_nothing_and_shows_what_it_may_have_cost() -> None:
    """Half an hour at 600 W, of which one increment was lost and one came."""
    *_, before = judged(hours(0.1))
    quiet: list[Minute] = [(600.0, None, False)] * 4
    back: list[Minute] = [(600.0, None, True), *quiet]
    lost = list(judged([(600.0, None, False)] * 9 + back, ledger=before.ledger))
    assert {one.values[KEY] for one in lost} == {before.values[KEY]}
    assert [one.diagnostics["energy_gap"] for one in lost[:9]] == [0.0] * 9
    # Until the next increment, all that was used since the last one may be lost.
    assert lost[9].diagnostics["energy_gap"] == pytest.approx(0.1, abs=1e-6)
    assert lost[-1].diagnostics["energy_gap"] == pytest.approx(0.14, abs=1e-6)
    *_, after = judged([*quiet, (600.0, None, False), (600.0, 0.1, False)], ledger=lost[-1].ledger)
    assert after.values[KEY] == pytest.approx(before.values[KEY] + 0.1)
    assert after.diagnostics["energy_gap"] == pytest.approx(0.1, abs=1e-6)
    # It stays shown, and grows no more.
    *_, later = judged(hours(0.1), ledger=after.ledger)
    assert later.diagnostics["energy_gap"] == pytest.approx(0.1, abs=1e-6)


def test_the_source_stays_when_the_power_is_not_known() -> None:
    *_, before = judged(hours(0.1))
    assert before.ledger
    taken = Reading("main", before.ledger.at + timedelta(minutes=1), {"voltage": 230.0})
    reading, _ = judge(taken, before.ledger, HEARD)
    assert reading.values[KEY] == before.values[KEY]
    assert reading.diagnostics["energy_source"] == "increments"


@pytest.mark.parametrize(("kwh", "disagrees"), [(1.0, True), (0.01, True), (0.12, False)])
def test_increments_are_compared_with_the_power(kwh: float, disagrees: bool) -> None:
    *_, last = judged(hours(kwh, 4))
    assert any("the scale of its increments may be wrong" in one for one in last.doubts) == (
        disagrees
    )


def test_values_after_a_cut_are_no_evidence_against_the_scale() -> None:
    cut = [(600.0, 0.1 if minute % 60 == 59 else None, minute % 60 == 5) for minute in range(600)]
    *_, last = judged(cut)
    assert last.doubts == ()
    assert last.diagnostics["energy_gap"] == pytest.approx(0.5 * 9, rel=0.01)


def test_an_increment_that_can_not_be_is_not_believed() -> None:
    *_, before = judged(hours(0.1))
    readings = list(judged([(600.0, 4000.0, False), *hours(0.1)], ledger=before.ledger))
    assert KEY not in readings[0].values
    assert readings[-1].values[KEY] == pytest.approx(before.values[KEY] + 0.6)


def test_a_meter_without_a_connection_is_estimated_from_there() -> None:
    *_, before = judged(hours(0.1))
    *_, last = judged(hours(0.1), POLLED, before.ledger)
    assert last.diagnostics["energy_source"] == "estimated"
    assert last.values[KEY] == pytest.approx(before.values[KEY] + 0.6, abs=1e-6)
    *_, again = judged(hours(0.1), HEARD, last.ledger)
    assert again.diagnostics["energy_source"] == "increments"
    assert again.values[KEY] == pytest.approx(last.values[KEY] + 0.1 + 0.5, abs=1e-6)


def test_a_meter_that_counts_by_itself_needs_no_increments() -> None:
    counting = Instrument("meter", ("active_power", KEY), adds=(KEY,))
    taken = Reading("main", START, {"active_power": 600.0, KEY: 7.0}, increments={KEY: 0.1})
    reading, ledger = judge(taken, None, counting)
    assert reading.values[KEY] == 7.0
    assert "energy_source" not in reading.diagnostics
    assert not ledger.increments


@pytest.mark.parametrize(
    ("code", "values", "adds", "divisor"),
    [
        ("add_ele", {"unit": "kW·h", "scale": 3, "max": 50000, "step": 100}, KEY, 1000),
        ("add_ele", {"unit": "度", "scale": 2, "max": 500000}, KEY, 100),
        ("add_ele", {}, KEY, 1000),
        ("add_ele_2", {"unit": "wh", "scale": 0, "max": 5000}, "energy_import_2", 1000),
        ("add_ele", {"unit": "kwh", "scale": 3, "max": 999999999}, None, 1000),
    ],
)
def test_the_makers_description_says_the_scale(
    code: str, values: Mapping[str, object], adds: str | None, divisor: float
) -> None:
    described = specified({"17": {"code": code, "type": "Integer", "values": values}})
    point = infer(described, {}).datapoints["17"]
    assert (point.adds, point.divisor) == (adds, divisor)
    assert (point.key is None) == (adds is not None)


@pytest.mark.parametrize("room", [9_999_999, 5_000_000])
def test_possible_counters_are_not_summed(room: int) -> None:
    values = {"unit": "kwh", "scale": 3, "max": room}
    described = specified({"17": {"code": "add_ele", "type": "Integer", "values": values}})
    point = infer(described, {}).datapoints["17"]
    assert (point.adds, point.key) == (None, None)
