"""Which counters of a specification are the sum of imported energy, and which are not."""

import pytest
from support.specifications import integers, read

from esquirell.domain.decoding import decode
from esquirell.domain.inference import infer, specified


@pytest.mark.parametrize(
    ("bound", "report", "key"),
    [
        (50_000, "", None),
        (9_999_999, "", None),
        (99_999_999, "", None),
        (100_000_000, "", "energy_import"),
        (999_999_990, "", "energy_import"),
        (50_000, "minux", "energy_import"),
        (50_000, "sum", None),
    ],
)
def test_an_increment_is_distinguished_from_a_counter(
    bound: int, report: str, key: str | None
) -> None:
    values = {"unit": "kwh", "scale": 3, "max": bound}
    point = {"code": "add_ele", "type": "Integer", "values": values, "report_type": report}
    found = read({"17": point}, {"17": 7_763_950})
    assert found.values == ({key: 7763.95} if key else {})


@pytest.mark.parametrize(("code", "highest"), [("DeviceKwh", 9_999), ("power_consumption", 5000)])
def test_a_counter_that_a_year_fills_is_that_of_a_day_or_a_session(code: str, highest: int) -> None:
    values = {"unit": "kWh", "scale": 1, "max": highest}
    point = {"code": code, "type": "Integer", "values": values}
    assert read({"112": point}, {"112": 125}).values == {}
    point["values"] = values | {"max": 99_999_999}
    assert read({"112": point}, {"112": 125}).values == {"energy_import": 12.5}


def test_a_total_without_room_is_left_out_also_while_it_is_zero() -> None:
    values = {"unit": "W·h", "scale": 2, "max": 999_999}
    point = {"code": "electric_total", "type": "Integer", "values": values}
    found = read({"10": point}, {"10": 125})
    assert (found.values, found.diagnostics) == ({}, {"electric_total": 125})
    assert "maximum of 9.99999 kWh" in found.warnings[0]
    assert read({"10": point}, {"10": 0}).values == {}


@pytest.mark.parametrize(
    ("watts", "published", "warned"),
    [
        # 227 V x 1.963 A, of which the frame says 340 W.
        (340, 340, False),
        (3403, 340.3, True),
        (4000, None, True),
        # A load that came between two samples.
        (1200, 1200, False),
    ],
)
def test_a_total_is_held_against_the_phase_that_has_a_voltage(
    watts: int, published: float | None, warned: bool
) -> None:
    frames = {"phase_a": ("Raw", "CN4AB6sAAVQ="), "phase_b": ("Raw", ""), "phase_c": ("Raw", "")}
    found = read(*integers(("power_total", "kW", 3, watts), **frames), category="qccdz")
    assert found.values.get("active_power") == published
    assert any("VA of its phases" in one for one in found.warnings) == warned


def test_a_total_without_a_frame_of_any_phase_is_taken_as_it_is() -> None:
    frames = {"phase_a": ("Raw", ""), "phase_b": ("Raw", "")}
    found = read(*integers(("total_power", "KW", 3, -747), **frames), category="dlq")
    assert found.values == {"active_power": -747}


COUNTERS = (
    ("forward_energy_a", "kW·h", 2, 1000),
    ("forward_energy_b", "kW·h", 2, 2000),
    ("reverse_energy_a", "kW·h", 2, 300),
    ("reverse_energy_b", "kW·h", 2, 400),
)


@pytest.mark.parametrize(
    ("totals", "expected"),
    [
        # Words first: a bare total is not what says its direction.
        ((("energy_total", 700), ("forward_energy_total", 3000)), {"energy_import": 30}),
        ((("forward_energy_total", 3000), ("energy_total", 700)), {"energy_import": 30}),
        # ... and what the phases add up to before words.
        ((("forward_energy_total", 55), ("energy_total", 3000)), {"energy_import": 30}),
        # A bare total that is the sum of the other direction is none of this one.
        ((("energy_total", 700),), {}),
        ((("energy_total", 3000),), {"energy_import": 30}),
        ((("total_ele", 77), ("all_energy", 300)), {}),
    ],
)
def test_words_and_phases_decide_among_several_counters(
    totals: tuple[tuple[str, int], ...], expected: dict[str, float]
) -> None:
    found = read(*integers(*COUNTERS, *((code, "kW·h", 2, raw) for code, raw in totals)))
    assert {k: v for k, v in found.values.items() if k == "energy_import"} == expected


def test_two_indistinguishable_counters_are_both_left_out() -> None:
    points = (("total_ele", "kWh", 2, 77_000), ("all_energy", "kWh", 2, 90_000))
    found = read(*integers(*points))
    assert found.values == {}
    assert "all_energy" in found.warnings[0]
    assert read(*integers(*points[:1])).values == {"energy_import": 770}


@pytest.mark.parametrize(
    ("named", "other"),
    [("energy", "add_ele"), ("electric_total", "power_consumption"), ("forward_energy", "energy")],
)
def test_no_counter_replaces_a_better_named_one_that_an_answer_lacks(
    named: str, other: str
) -> None:
    room = {"unit": "kWh", "scale": 2, "max": 999_999_990}
    mapping = {
        dp: {"code": code, "type": "Integer", "values": room}
        for dp, code in (("101", named), ("102", other))
    }
    answer = {"101": 12_914, "102": 1_249_543}
    assert read(mapping, answer).values == {"energy_import": 129.14}
    partial = {"102": 1_249_543}
    layout = infer(specified(mapping), partial, "cz")
    assert decode(partial, layout).diagnostics == {other: 1_249_543}
    assert decode(answer, layout).values == {"energy_import": 129.14}


def test_a_sum_of_both_ways_is_no_import() -> None:
    points = integers(
        ("total_forward_energy", "kWh", 2, 700),
        ("total_energy", "kWh", 2, 1000),
        ("backward_energy", "kWh", 2, 300),
    )
    found = read(*points)
    assert found.values == {"energy_import": 7, "energy_export": 3}
    assert found.diagnostics == {"total_energy": 1000}


@pytest.mark.parametrize("code", ["power_consumption", "energy_consumption"])
def test_consumption_that_is_a_sum_of_reports_is_no_counter(code: str) -> None:
    values = {"unit": "kWh", "scale": 2}
    point = {"code": code, "type": "Integer", "values": values, "report_type": "sum"}
    assert read({"17": point}, {"17": 12}).values == {}


def test_counters_of_phases_that_are_ten_times_their_total() -> None:
    points = integers(
        ("forward_energy_total", "kW·h", 2, 73_245),
        ("EnergyConsumedA", "Kw·h", 2, 219_814),
        ("EnergyConsumedB", "Kw·h", 2, 373_155),
        ("EnergyConsumedC", "Kw·h", 2, 139_489),
    )
    found = read(*points)
    assert found.values["energy_import"] == 732.45
    assert found.values["energy_import_c"] == 139.489
    assert len(found.warnings) == 3


@pytest.mark.parametrize("lacking", ["1", "111"])
def test_counters_of_phases_wait_for_the_sum_that_shows_their_unit(lacking: str) -> None:
    """They have room for ten times their total, but only together they show that they count so."""
    phase = {"unit": "kW·h", "scale": 2, "max": 999_999_999}
    mapping = {
        "1": {"code": "forward_energy_total", "values": phase | {"max": 99_999_999}},
        "101": {"code": "EnergyConsumedA", "values": phase},
        "111": {"code": "EnergyConsumedB", "values": phase},
        "121": {"code": "EnergyConsumedC", "values": phase},
    }
    answer = {"1": 73_245, "101": 219_814, "111": 373_155, "121": 139_489}
    whole = read(mapping, answer)
    assert whole.values["energy_import_a"] == 219.814
    del answer[lacking]
    assert read(mapping, answer).values == ({"energy_import": 732.45} if "1" in answer else {})


def test_increments_called_export_are_exported_and_doubted() -> None:
    values = {"unit": "kwh", "scale": 3, "max": 99_999_999}
    point = {"code": "pro_add_ele", "type": "Integer", "values": values}
    found = read({"101": point}, {"101": 12_500})
    assert found.values == {"energy_export": 12.5}
    assert "only one known product has it" in found.warnings[0]
