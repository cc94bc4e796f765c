"""Scales and meanings that a specification leaves open: what is assumed, and what is reported."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.specifications import integers, read

from esquirell.domain.decoding import decode
from esquirell.domain.inference import infer, specified
from esquirell.domain.quantity import is_possible
from esquirell.profiles.capture import try_capture

PLUG_V = ("cur_voltage", "V", 1, 2300)


@pytest.mark.parametrize(
    ("raw", "watts"), [(132_015, 132.015), (0, 0)], ids=["milliwatts", "nothing"]
)
def test_a_micro_inverter_counts_milliwatts(raw: int, watts: float) -> None:
    frames = {"pv1_dc_data": ("Raw", "APgAHQLV"), "phase_a": ("Raw", "CXMAAT0BTjgB9A==")}
    found = read(*integers(("power_total", "kW", 3, raw), **frames), category="znnbq")
    assert found.values["active_power"] == watts
    assert found.values["active_power_a"] == 85.56
    assert found.values["active_power_pv1"] == 72.5


def test_a_micro_inverter_without_described_frames_counts_milliwatts() -> None:
    warm = {"unit": "℃", "scale": 1, "min": -40, "max": 150}
    points, answer = integers(("power_total", "kW", 3, 1906))
    alone = read(points, answer, category="znnbq")
    assert alone.values == {"active_power": 1906}
    assert "milliwatts" in alone.warnings[0]
    # What no micro inverter makes, and what those make whose thermometers count whole degrees.
    points, answer = integers(("power_total", "kW", 3, 19_060))
    assert read(points, answer, category="znnbq").values == {"active_power": 19.06}
    assert read(points, answer, category="xnyjcn").values == {"active_power": 19_060}
    points, answer = integers(("power_total", "kW", 3, 1906))
    points |= {"18": {"code": "temp_current", "type": "Integer", "values": warm}}
    answer |= {"18": 28}
    found = read(points, answer, category="znnbq").values
    assert found == {"active_power": 1.906, "temperature": 28}


def test_an_apparent_power_is_voltage_times_current() -> None:
    measured = (("cur_voltage", "V", 1, 2300), ("cur_current", "mA", 0, 1000))
    right = read(*integers(*measured, ("apparent_power", "VA", 0, 231)))
    assert right.values["apparent_power"] == 231
    wrong = read(*integers(*measured, ("power_apparent", "W", 1, 8007)))
    assert "apparent_power" not in wrong.values
    assert "is not voltage x current" in wrong.warnings[0]


def test_the_counter_called_total_wins_over_another_of_its_channel() -> None:
    points, answer = integers(
        ("forward_energy_a", "kWh", 2, 62), ("forward_energy_a_total", "kWh", 2, 412_345)
    )
    assert read(points, answer).values == {"energy_import_a": 4123.45}
    # The other one is of a day, also in an answer without the total.
    del answer[list(answer)[1]]
    assert read(points, answer).values == {}
    alone = integers(("forward_energy_a", "kWh", 2, 62))
    assert read(*alone).values == {"energy_import_a": 0.62}


def test_a_temperature_without_decimal() -> None:
    values = {"unit": "℃", "scale": 1, "min": -40, "max": 150}
    point = {"code": "temp_current", "type": "Integer", "values": values}
    assert read({"18": point}, {"18": 39}).values == {"temperature": 39}


def test_a_lowest_value_of_nines_is_no_measurement() -> None:
    values = {"unit": "kW", "scale": 3, "min": -99_999_999, "max": 99_999_999}
    point = {"code": "power_total", "type": "Integer", "values": json.dumps(values)}
    found = read({"9": point}, {"9": -99_999_999})
    assert (found.values, found.diagnostics) == ({}, {"power_total": -99_999_999})


def test_a_code_alone_is_taken_at_its_usual_scale_and_doubted() -> None:
    found = decode({"cur_voltage": 2300}, infer((), {"cur_voltage": 2300}))
    assert found.values == {"voltage": 230}
    assert found.warnings


def test_a_meaning_inferred_from_the_unit_alone_is_doubted() -> None:
    found = read(*integers(("xyz", "V", 0, 230), ("cur_current", "mA", 0, 500)))
    assert found.values == {"voltage": 230, "current": 0.5}
    (warning,) = found.warnings
    assert "only one known product has it" in warning


def test_whole_volts_that_are_tenths_are_reported() -> None:
    found = read(*integers(("cur_voltage", "V", 0, 2300)))
    assert found.values == {"voltage": 230}
    assert found.warnings == (
        "DP 101 (cur_voltage): 2300 V is impossible: the device counts tenths of a volt",
    )


def test_a_contradiction_is_reported() -> None:
    points = integers(PLUG_V, ("cur_current", "mA", 0, 1), ("cur_power", "W", 1, 10_455))
    assert "more than" in read(*points).warnings[0]


def test_a_tenth_of_voltage_times_current_is_reported() -> None:
    points = (PLUG_V, ("cur_current", "mA", 0, 5000), ("cur_power", "W", 1, 1150))
    assert "tenth" in read(*integers(*points)).warnings[0]
    assert read(*integers(*points, ("power_factor", "", 2, 10))).warnings == ()


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
known = (
    "cur_voltage", "cur_current", "cur_power", "phase_a", "pv1_dc_data", "power_total", "add_ele",
    "direction_a", "forward_energy_total", "power_factor", "supply_frequency", "temp_current",
    "leakage_current",
)  # fmt: skip
codes = st.sampled_from(known) | st.text(max_size=12)
entries = st.fixed_dictionaries(
    {"code": codes, "type": st.sampled_from(["Integer", "Raw", "Enum", "Json"]) | scalars},
    optional={
        "values": scalars
        | st.dictionaries(st.sampled_from(["unit", "scale", "min", "max"]), scalars)
    },
)
ids = st.integers(1, 6).map(str)


@given(
    st.dictionaries(ids, entries | scalars) | scalars,
    st.dictionaries(ids | codes, scalars | st.lists(scalars, max_size=2)),
)
def test_anything_is_inferred_and_decoded(mapping: object, answer: dict[str, Any]) -> None:
    found = decode(answer, infer(specified(mapping), answer, "znnbq"))
    assert all(is_possible(key, value) for key, value in found.values.items())


@pytest.mark.parametrize("raw", [10**400, -(10**400), 10**18, 1e300])
def test_a_number_of_hundreds_of_digits_costs_only_its_own_value(raw: float) -> None:
    """No float can be computed from such an integer."""
    mapping, answer = integers(PLUG_V, ("cur_current", "mA", 0, 480))
    found = read(
        mapping, answer | dict.fromkeys((key for key in answer if answer[key] == 480), raw)
    )
    assert found.values == {"voltage": 230}
    assert try_capture({"dps": {"17": raw, "18": raw, "19": raw, "20": 2300}}).profile == "unknown"
