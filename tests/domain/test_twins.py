"""Of several datapoints with one meaning neither order nor a zero decides which is published."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations, product
from typing import Any

import pytest
from support.fakes import meter

from esquirell.domain.decoding import Decoded
from esquirell.domain.device import Device
from esquirell.profiles import Choices


def point(code: str, unit: str, scale: int, highest: int = 99_999_999) -> dict[str, Any]:
    values = {"unit": unit, "scale": scale, "min": 0, "max": highest}
    return {"code": code, "type": "Integer", "values": values}


BESIDE = {"18": point("cur_current", "mA", 0), "20": point("cur_voltage", "V", 1)}
TEMPERATURES = {"5": point("temp_current", "℃", 1), "105": point("temperature", "℃", 1)}
LEAKAGES = {"15": point("leakage_current", "mA", 0), "33": point("residual_current", "mA", 0)}
CHARGES = {"1": point("main_soc", "%", 0, 100), "2": point("current_soc", "%", 0, 100)}
POWERS = {"19": point("cur_power", "W", 1), "21": point("power", "W", 1)}
MISNAMED = {"19": point("power_total", "W", 1), "21": point("cur_power", "W", 1)}
REST, LITTLE, LOAD = ({"18": milliamperes, "20": 2301} for milliamperes in (0, 100, 4187))


def histories(twins: Sequence[str]) -> Iterator[Sequence[Mapping[str, int]]]:
    """Return up to two answers, with each of two datapoints absent, at zero or at a value."""
    one, other = twins
    said = [
        part | {dp: raw for dp, raw in ((one, first), (other, second)) if raw is not None}
        for part in ({}, REST, LITTLE)
        for first, second in product((None, 0, 30), (None, 0, 5000))
    ]
    answers = [answer for answer in said if answer]
    yield from ([], *([answer] for answer in answers))
    yield from (list(both) for both in permutations(answers[:17], 2))


def after(mapping: Mapping[str, Any], history: Sequence[Mapping[str, int]]) -> Decoded:
    choices = Choices(known=lambda _: Device(mapping={**BESIDE, **mapping}))
    decoded = [choices.decode(meter(profile="auto"), answer) for answer in history]
    return decoded[-1]


@pytest.mark.parametrize(
    ("twins", "last", "key", "value"),
    [
        # Tuya's own datapoint, before the maker's.
        (TEMPERATURES, {"5": -12, "105": 350}, "temperature", -1.2),
        (TEMPERATURES, {"5": 0, "105": 350}, "temperature", 0.0),
        # ... two of Tuya's own.
        (LEAKAGES, {"15": 30, "33": 12}, "leakage_current", None),
        (LEAKAGES, {"15": 0, "33": 12}, "leakage_current", None),
        # The whole store's charge, and that of its main unit.
        (CHARGES, {"1": 0, "2": 43}, "state_of_charge", 43),
        (CHARGES, {"1": 50, "2": 43}, "state_of_charge", 43),
        (CHARGES, {"1": 50, "2": 0}, "state_of_charge", 0),
        # The power that is named as the current and the voltage are.
        (POWERS, {"19": 0, "21": 5000}, "active_power", 0),
        (POWERS, {"19": 9500, "21": 0} | LOAD, "active_power", 950),
        (POWERS, {"19": 0, "21": 9500} | LOAD, "active_power", 950),
        # Named as the total, but more than the current allows.
        (MISNAMED, {"19": 3000, "21": 0}, "active_power", None),
        (MISNAMED, {"19": 3000, "21": 9500} | LOAD, "active_power", 950),
    ],
)
def test_neither_order_nor_a_zero_decides_between_two_datapoints(
    twins: Mapping[str, Any], last: Mapping[str, int], key: str, value: float | None
) -> None:
    answer = {**REST, **last}
    for history in histories(list(twins)):
        came = after(twins, [*history, answer])
        assert came.values.get(key) == value, history
        left = [one["code"] for one in twins.values() if one["code"] in came.diagnostics]
        assert len(left) == (2 if value is None else 1), history
