"""What a meter's first answer can't show is found by its later ones, not at the next start."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any
from zlib import crc32

import pytest
from support.captures import Captured, captures
from support.fakes import meter
from support.judge import INPUTS, Inputs, verdict

from esquirell.domain.device import Device
from esquirell.domain.quantity import split_key
from esquirell.profiles import Choices
from esquirell.profiles.capture import answer_of

DESCRIBED = [inputs for inputs in INPUTS if inputs.known]
AT_REST = ("current", "active_power", "reactive_power", "apparent_power", "power_factor", "energy")
FULL = ("mapping", "spec", "product_id", "category")


def point(code: str, unit: str, scale: int, highest: int = 99_999_999) -> dict[str, Any]:
    values = {"unit": unit, "scale": scale, "min": 0, "max": highest}
    return {"code": code, "type": "Integer", "values": values}


VOLTAGE = point("cur_voltage", "V", 1)
CURRENT = point("cur_current", "mA", 0)
POWER = point("cur_power", "W", 1)


def choices_of(capture: Mapping[str, Any]) -> Choices:
    device = Device(**{part: capture[part] for part in FULL if capture.get(part)})
    return Choices(known=lambda _: device)


@pytest.mark.parametrize(
    ("mapping", "rest", "load", "values"),
    [
        (  # whole amperes are milliamperes
            {"18": point("cur_current", "A", 0), "19": POWER, "20": VOLTAGE},
            {"18": 0, "19": 0, "20": 2301},
            {"18": 4187, "19": 9500, "20": 2301},
            {"current": 4.187, "active_power": 950.0, "voltage": 230.1},
        ),
        (  # whole watts are tenths
            {"18": CURRENT, "19": point("cur_power", "W", 0, 5000), "20": VOLTAGE},
            {"18": 0, "19": 0, "20": 2301},
            {"18": 4187, "19": 9500, "20": 2301},
            {"current": 4.187, "active_power": 950.0, "voltage": 230.1},
        ),
        (  # an inverter at night, which counts milliwatts
            {
                "10": point("power_total", "kW", 3),
                "102": point("pv_power", "W", 2),
                "103": point("ac_power", "W", 2),
            },
            {"10": 0, "102": 0, "103": 0},
            {"10": 132_015, "102": 14_340, "103": 13_200},
            {"active_power": 132.015, "active_power_pv": 143.4, "active_power_ac": 132.0},
        ),
        (  # a leakage that is the power factor
            {
                "15": point("leakage_current", "mA", 0),
                "18": CURRENT, "19": POWER, "20": VOLTAGE,
            },
            {"15": 0, "18": 0, "19": 0, "20": 2300},
            {"15": 90, "18": 5000, "19": 10_350, "20": 2300},
            {"power_factor": 0.9, "current": 5.0, "active_power": 1035.0, "voltage": 230.0},
        ),
        (  # a frequency and a power factor without their scales
            {"32": point("supply_frequency", "Hz", 0), "50": point("power_factor", "", 0)}
            | {"18": CURRENT, "19": POWER, "20": VOLTAGE},
            {"32": 0, "50": 0, "18": 0, "19": 0, "20": 2301},
            {"32": 5001, "50": 98, "18": 4187, "19": 9440, "20": 2301},
            {"frequency": 50.01, "power_factor": 0.98, "current": 4.187, "active_power": 944.0}
            | {"voltage": 230.1},
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("rests", [1, 2, 5, 40])
def test_a_meter_at_rest_proves_no_scale(
    mapping: Mapping[str, Any],
    rest: Mapping[str, int],
    load: Mapping[str, int],
    values: Mapping[str, float],
    rests: int,
) -> None:
    choices, one = choices_of({"mapping": mapping}), meter(profile="auto")
    for _ in range(rests):
        choices.decode(one, rest)
    assert choices.decode(one, load).values == values
    # What a load has shown stays.
    assert choices.decode(one, rest).values.keys() == values.keys()
    assert choices.decode(one, load).values == values


@pytest.mark.parametrize("captured", [pytest.param(one, id=one.file) for one in captures()])
def test_a_meter_that_was_first_read_at_rest_is_understood_as_one_under_load(
    captured: Captured,
) -> None:
    for inputs in DESCRIBED:
        for capture, rest in _at_rest(captured, inputs):
            one = meter(profile="auto", product_id=capture.get("product_id") or "")
            first, later = choices_of(capture), choices_of(capture)
            for _ in range(3):
                later.decode(one, rest)
            load = answer_of(capture)
            assert later.decode(one, load).values == first.decode(one, load).values, inputs.name


@pytest.mark.parametrize("captured", [pytest.param(one, id=one.file) for one in captures()])
def test_an_answer_that_came_in_parts_means_what_it_means_as_a_whole(captured: Captured) -> None:
    for inputs in INPUTS:
        for capture in inputs.captures(captured):
            one = meter(profile="auto", product_id=capture.get("product_id") or "")
            whole = answer_of(capture)
            names = sorted(whole, key=lambda name: crc32(f"{captured.file} {name}".encode()))
            choices = choices_of(capture)
            choices.decode(one, {name: whole[name] for name in names[: len(names) // 2]})
            came = verdict(captured, inputs.name, choices.decode(one, whole).values)
            at_once = verdict(captured, inputs.name, choices_of(capture).decode(one, whole).values)
            assert (came.wrong, came.unlisted) == ({}, {}), inputs.name
            assert came.right >= at_once.right


def test_of_two_datapoints_with_one_meaning_the_order_decides_nothing() -> None:
    mapping = {
        "1": point("main_soc", "%", 0, 100),
        "2": point("current_soc", "%", 0, 100),
        "20": VOLTAGE,
    }
    for answer in ({"1": 0, "2": 43, "20": 2300}, {"20": 2300, "2": 43, "1": 0}):
        decoded = choices_of({"mapping": mapping}).decode(meter(profile="auto"), answer)
        assert decoded.values == {"state_of_charge": 43, "voltage": 230.0}
        assert decoded.diagnostics == {"main_soc": 0}


def _at_rest(captured: Captured, inputs: Inputs) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Return what is known of a meter, and its answer without any load and energy."""
    for capture in inputs.captures(captured):
        full = choices_of(captured.capture)
        one = meter(profile="auto", product_id=captured.capture.get("product_id") or "")
        full.decode(one, answer_of(capture))
        loaded = {
            name
            for dp, point in full.of(one).datapoints.items()
            if point.key and split_key(point.key)[0].key.startswith(AT_REST)
            for name in (dp, point.code)
        }
        yield capture, _zeroed(answer_of(capture), loaded)


def _zeroed(answer: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: 0 if name in names else raw for name, raw in answer.items()}
