import pytest

from esquirell.domain import quantity
from esquirell.domain.quantity import QUANTITIES, Quantity, is_possible


@pytest.mark.parametrize("found", QUANTITIES.values(), ids=str)
def test_usual_values_are_possible(found: Quantity) -> None:
    assert is_possible(found.key, found.possible[0])
    assert is_possible(found.key, found.possible[1])
    assert not is_possible(found.key, found.possible[1] * 1.001)
    assert not is_possible(found.key, float("nan"))
    if found.usual:
        assert found.possible[0] <= found.usual[0] < found.usual[1] <= found.possible[1]


def test_energies_are_never_negative_and_have_counters() -> None:
    for key, found in QUANTITIES.items():
        assert (found.device_class == "energy") == quantity.is_counter(key)
        if quantity.is_counter(key):
            assert not is_possible(f"{key}_a", -0.01)


# What Home Assistant's own classes allow: its units of these device classes.
UNITS = {
    "voltage": "V",
    "current": "A",
    "power": "W",
    "reactive_power": "var",
    "apparent_power": "VA",
    "power_factor": "",
    "energy": "kWh",
    "frequency": "Hz",
    "temperature": "°C",
    "battery": "%",
}


def test_each_quantity_has_the_unit_of_its_class() -> None:
    assert {one.key: one.unit for one in QUANTITIES.values()} == {
        one.key: UNITS[one.device_class] for one in QUANTITIES.values()
    }
    assert {one.state_class for one in QUANTITIES.values()} == {"measurement", "total_increasing"}


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"active_power": 1240.4, "energy_import": 1064.211}, "1.24 kW, 1064.21 kWh"),
        ({"active_power_a": 100.0, "active_power_b": 130.0, "voltage_a": 230.0}, "230 W"),
        (
            {"active_power": -2500.0, "energy_import": 7.0, "energy_export": 1.5},
            "-2.50 kW, 7.00 kWh import, 1.50 kWh export",
        ),
        ({"energy_charged": 3.0}, "3.00 kWh"),
        ({"voltage": 230.14, "power_factor": 0.98, "current": 0.5}, "230.1 V, 0.98, 0.50 A"),
    ],
)
def test_a_reading_is_summed_up_by_power_and_counters(values: dict[str, float], text: str) -> None:
    assert quantity.summary(values) == text


def test_an_energy_of_which_a_phase_is_withheld_is_no_sum_of_the_others() -> None:
    values = {"active_power": 300.0, "energy_import": 7.0, "energy_export_b": 1.5}
    assert quantity.summary(values, {"energy_export", "energy_export_a"}) == "300 W, 7.00 kWh"
