from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esquirell.domain.doubts import ENOUGH, Doubt, Verdict, corrected, weigh
from esquirell.domain.plausibility import (
    CHECKS,
    complaints,
    contradictions,
    is_hollow,
    overflows,
)
from esquirell.domain.quantity import QUANTITIES, with_suffix

SOUND = {
    "voltage_a": 233.1,
    "current_a": 1.252,
    "active_power_a": 94.0,
    "power_factor_a": 0.32,
    "voltage_b": 236.4,
    "current_b": 3.0,
    "active_power_b": 700.0,
    "power_factor_b": 0.99,
    "voltage_c": 230.0,
    "current_c": 2.0,
    "active_power_c": 455.0,
    "power_factor_c": 0.98,
    "active_power": 1249.0,
    "current": 6.252,
    "frequency": 50.0,
    "temperature": 33.2,
    "energy_import": 100.0,
    "energy_import_a": 50.0,
    "energy_import_b": 30.0,
    "energy_import_c": 20.0,
}


def look(values: Mapping[str, float]) -> list[Verdict]:
    return [verdict for check in CHECKS.values() for verdict in check(values)]


def wrong(values: Mapping[str, float]) -> list[Verdict]:
    return [verdict for verdict in look(values) if verdict.sentence]


def repeated(*readings: Iterable[Verdict]) -> dict[str, Doubt]:
    doubts: dict[str, Doubt] = {}
    for verdicts in readings:
        doubts = weigh(doubts, verdicts)
    return doubts


def test_sound_values_raise_no_doubt() -> None:
    assert wrong(SOUND) == []


@pytest.mark.parametrize(
    ("values", "key", "divisor"),
    [
        ({"voltage_a": 2331.0}, "voltage_a", 10),
        ({"voltage": 1150.0}, "voltage", 10),
        ({"voltage": 23_010.0}, "voltage", 100),
        ({"frequency": 5000.0}, "frequency", 100),
        (SOUND | {"active_power": 12_490.0}, "active_power", 10),
        (SOUND | {"active_power_b": 7000.0}, "active_power_b", 10),
        (SOUND | {"active_power_b": 0.7}, "active_power_b", 0.001),
        (SOUND | {"current_b": 30.0, "apparent_power_b": 708.0}, "current_b", 10),
        (SOUND | {"active_power_b": 7000.0, "apparent_power_b": 708.0}, "active_power_b", 10),
    ],
)
def test_a_scale_is_certain_where_nothing_else_can_be_wrong(
    values: dict[str, float], key: str, divisor: float
) -> None:
    scales = [verdict.scale for verdict in wrong(values) if verdict.scale]
    assert [(scale.key, scale.divisor) for scale in scales] == [(key, divisor)]


@pytest.mark.parametrize(
    "values",
    [
        {"voltage": 700.0},
        {"voltage_a": 12.0},
        {"power_factor": 95.0},
        {"temperature": 331.0},
        {"frequency": 7.0},
        {"voltage": 239.6, "current": 5.466, "active_power": 11_374.0},
        {"voltage": 230.0, "current": 1.0, "active_power": 2300.0, "power_factor": 1.0},
        SOUND | {"active_power": 600.0},
        SOUND | {"active_power": -1249.0},
        SOUND | {"energy_import": 1000.0},
        SOUND | {"current": 0.6252},
        {"voltage": 230.0, "current": 2.0, "active_power": 900.0},
    ],
)
def test_ambiguous_contradictions_are_named_but_not_corrected(values: dict[str, float]) -> None:
    (verdict, *rest) = wrong(values)
    assert not rest
    assert verdict.scale is None
    assert verdict.key in verdict.sentence


@pytest.mark.parametrize(
    "values",
    [
        {"voltage_b": 0.0, "frequency": 0.0},
        {"voltage_pv1": 38.0, "voltage_battery": 51.2},
        {"voltage": 230.0, "current": 0.02, "active_power": 40.0},
        {"voltage": 230.0, "current": 2.0, "active_power": 0.0, "power_factor": 1.0},
        {"voltage": 230.0, "current": 2.0, "active_power": 3.0},
        SOUND | {"active_power": 1180.0},
    ],
)
def test_unusual_values_are_accepted(values: dict[str, float]) -> None:
    assert wrong(values) == []


def test_a_voltage_between_two_phases_has_the_power_of_three() -> None:
    charging = {"voltage": 397.0, "current": 15.1, "active_power": 10_000.0}
    assert list(complaints(charging)) == []
    assert list(complaints({"voltage_a": 397.0})) == []
    assert list(complaints({"voltage_a": 330.0}))
    assert list(contradictions(charging)) == []
    assert list(contradictions({**charging, "voltage": 230.0}))
    assert list(contradictions({**charging, "active_power": 20_000.0}))


def test_a_total_that_fits_neither_way_makes_no_scale_certain() -> None:
    found = wrong(SOUND | {"active_power_b": 7000.0, "active_power": 30_000.0})
    assert {verdict.key: verdict.scale for verdict in found}["active_power_b"] is None


def test_power_factors_with_signs_show_that_a_total_has_lost_its_sign() -> None:
    exporting = {
        f"{key}_{phase}": -SOUND[f"{key}_{phase}"]
        for key in ("active_power", "power_factor")
        for phase in "abc"
    }
    (verdict,) = wrong(SOUND | exporting)
    assert verdict.scale
    assert (verdict.scale.key, verdict.scale.divisor) == ("active_power", -1)
    assert wrong(SOUND) == []


def test_zeros_beside_a_power_are_not_measured() -> None:
    assert is_hollow({"voltage_a": 0.0, "voltage_b": 0.0, "active_power": 367.0})
    assert not is_hollow({"voltage_a": 0.0, "voltage_b": 230.0, "active_power": 367.0})
    assert not is_hollow({"voltage": 0.0, "active_power": 0.0})
    assert not is_hollow({"active_power": 367.0})


def test_a_doubt_is_reported_when_it_holds_and_dropped_when_it_is_gone() -> None:
    bad, good = look({"voltage": 2300.0}), look({"voltage": 230.0})
    assert not repeated(*[bad] * (ENOUGH - 1))["range voltage"].confirmed
    told = [bad] * ENOUGH
    assert repeated(*told)["range voltage"].confirmed
    assert repeated(*told, *[good] * (ENOUGH - 1))["range voltage"].confirmed
    assert repeated(*told, *[good] * ENOUGH) == {}
    assert repeated(*told, [])["range voltage"].confirmed


def test_single_oddities_never_add_up() -> None:
    bad, good = look({"voltage": 2300.0}), look({"voltage": 230.0})
    assert repeated(*[bad, good] * 20) == {}


def test_a_correction_needs_repetition_and_spares_a_value_that_is_right_meanwhile() -> None:
    bad, good = look({"voltage": 2300.0}), look({"voltage": 230.0})
    assert corrected({"voltage": 2300.0}, repeated(*[bad] * (ENOUGH - 1)), bad) == {}
    doubts = repeated(*[bad] * ENOUGH)
    assert corrected({"voltage": 2300.0}, doubts, bad) == {"voltage": 230.0}
    assert corrected({"voltage": 230.0}, doubts, good) == {}


def test_a_scale_holds_where_a_reading_says_nothing() -> None:
    high = SOUND | {"active_power": 12_490.0}
    idle = {"active_power_a": 1.0, "active_power_b": 0.0, "active_power_c": 1.0}
    doubts = repeated(*[look(high)] * ENOUGH)
    quiet = SOUND | idle | {"active_power": 20.0}
    verdicts = [verdict for verdict in look(quiet) if verdict.check == "sum"]
    assert corrected(quiet, doubts, verdicts)["active_power"] == 2.0


def test_a_sign_is_turned_only_where_it_shows() -> None:
    exporting = SOUND | {
        f"{key}_{phase}": -SOUND[f"{key}_{phase}"]
        for key in ("active_power", "power_factor")
        for phase in "abc"
    }
    bad = look(exporting)
    doubts = repeated(*[bad] * ENOUGH)
    assert corrected(exporting, doubts, bad) == {"active_power": -1249.0}
    assert corrected(SOUND, doubts, []) == {}
    assert corrected(SOUND, doubts, look(SOUND)) == {}


keys = st.builds(
    with_suffix,
    st.sampled_from(sorted(QUANTITIES)),
    st.sampled_from(["", "a", "b", "c", "1", "pv1"]),
)


@given(st.dictionaries(keys, st.floats(-1e6, 1e6, allow_nan=False)))
def test_no_values_upset_the_checks(values: dict[str, float]) -> None:
    for verdict in look(values):
        assert not verdict.scale or verdict.scale.key in values


@pytest.mark.parametrize(("off", "is_wrong"), [(99.0, False), (101.0, True)])
def test_a_small_total_may_be_a_hundred_watts_off_its_phases(off: float, is_wrong: bool) -> None:
    values = {f"active_power_{phase}": 40.0 for phase in "abc"} | {"active_power": 120.0 + off}
    assert bool(wrong(values)) is is_wrong


@pytest.mark.parametrize(
    ("changed", "left_out"),
    [
        # -1100 W in sixteen bits, of a phase and of all, and what a clamp was seen to send.
        (
            {"active_power_a": 64_436.0, "active_power": 65_000.0},
            ["active_power_a", "active_power"],
        ),
        ({"active_power_b": 38_606.0}, ["active_power_b"]),
        # What a wallbox takes is there before its current is.
        ({"active_power_a": 22_000.0, "active_power": 24_000.0}, []),
        # Nothing to compare with.
        ({"current_a": None, "active_power_a": 64_436.0, "active_power": 65_000.0}, []),
        ({"voltage_a": 0.0, "active_power_a": 64_436.0}, []),
    ],
)
def test_a_negative_power_in_too_few_bits_is_left_out(
    changed: Mapping[str, float | None], left_out: list[str]
) -> None:
    told: dict[str, float | None] = {**SOUND, **changed}
    values = {key: value for key, value in told.items() if value is not None}
    assert sorted(overflows(values)) == sorted(left_out)
