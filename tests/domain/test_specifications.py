"""The ways in which makers write specifications and units."""

import pytest

from esquirell.domain.inference import specified
from esquirell.domain.inference.meaning import meaning_of
from esquirell.domain.inference.units import unit_of


@pytest.mark.parametrize(
    "described",
    [
        {"1": {"code": "cur_voltage", "type": "Integer", "values": {"unit": "V", "scale": 1}}},
        {"1": {"code": "cur_voltage", "type": "Integer", "values": '{"unit":"V","scale":1}'}},
        {"1": {"code": "cur_voltage", "typeSpec": {"type": "value", "unit": "V", "scale": 1}}},
        {"cur_voltage": {"type": "Integer", "values": {"unit": "V", "scale": 1}}},
        {"functions": [], "status": [{"code": "cur_voltage", "values": '{"scale":1}'}]},
        [{"code": "cur_voltage", "dp_id": 1, "type": "value", "values": {"scale": "1"}}],
    ],
)
def test_specifications_are_read_in_several_shapes(described: object) -> None:
    (point,) = specified(described)
    assert (point.code, point.scale) == ("cur_voltage", 1)


KWH = (
    "kW·h", "kwh", "kW.h", "度", "KWH", "kWh", "Kw·h", "kw.h", "KWh", "Kwh", "KW*H", "KwH", "kw·h",
    "*0.01kW·h", "kW*h", " Kw·h", "k-Wh", "KW·h", "KW.h", "kW·h\t",
)  # fmt: skip


@pytest.mark.parametrize("text", KWH)
def test_a_kilowatt_hour_is_spelt_in_many_ways(text: str) -> None:
    unit = unit_of(text)
    assert unit is not None
    assert (unit.dimension, unit.size) == ("energy", 1)


@pytest.mark.parametrize("text", ["h", "min", "s", "秒", "天"])
def test_hours_are_no_energy(text: str) -> None:
    """Portable power stations say with `reverse_energy_total`, in h, how long they generated."""
    values = {"unit": text, "scale": 0, "min": 0, "max": 500}
    (point,) = specified({"reverse_energy_total": {"type": "Integer", "values": values}})
    assert meaning_of(point) is None


@pytest.mark.parametrize("text", ["W·h", "w.h", "Wh", "wh"])
def test_a_watt_hour(text: str) -> None:
    unit = unit_of(text)
    assert unit is not None
    assert (unit.dimension, unit.size) == ("energy", 1e-3)
