"""What a maker's specification says wrong, and the loads that look as if it did but do not."""

import pytest
from support.specifications import Point, integers, read

from esquirell.domain.decoding import decode
from esquirell.domain.inference import Specified, infer

PLUG_V = ("cur_voltage", "V", 1, 2300)
OLD_V = ("cur_voltage", "V", 0, 2300)


@pytest.mark.parametrize(
    ("points", "values", "doubted"),
    [
        # Few watts beside an ampere: a small power factor, or milliamperes; kept as it is said.
        ((PLUG_V, ("cur_power", "W", 1, 100), ("cur_current", "A", 0, 1)), {"current": 1}, False),
        # Milliamperes would make 11.5 VA, which 300 W contradict as much.
        (
            (PLUG_V, ("cur_power", "W", 1, 3000), ("cur_current", "A", 0, 50)),
            {"current": 50},
            False,
        ),
        # Voltage, power and power factor agree on a tenth of the current.
        (
            (
                PLUG_V,
                ("cur_power", "W", 1, 1150),
                ("cur_current", "A", 1, 100),
                ("power_factor", "", 2, 50),
            ),
            {"current": 1.0},
            True,
        ),
        # Without a power factor that is a load of 0.1.
        (
            (PLUG_V, ("cur_power", "W", 1, 2300), ("cur_current", "A", 1, 100)),
            {"current": 10},
            True,
        ),
        # A few watts agree with everything.
        (
            (PLUG_V, ("cur_power", "W", 1, 200), ("cur_current", "A", 2, 87)),
            {"current": 0.87},
            False,
        ),
        # A large power is possible where a clamp measures a phase, or its current says so.
        (
            (("cur_power", "W", 1, 1_500_000), ("current_a", "A", 0, 210)),
            {"active_power": 150_000},
            False,
        ),
        (
            (PLUG_V, ("cur_power", "W", 0, 110_000), ("cur_current", "A", 0, 480)),
            {"active_power": 110_000},
            False,
        ),
        ((PLUG_V, ("cur_power", "W", 1, -1_500_000)), {"active_power": None}, True),
        # An old plug counts tenths of both, unless the current fits the whole number of watts.
        (
            (OLD_V, ("cur_power", "W", 0, 1100), ("cur_current", "mA", 0, 5000)),
            {"active_power": None},
            True,
        ),
        (
            (OLD_V, ("cur_power", "W", 0, 1400), ("cur_current", "mA", 0, 5000)),
            {"active_power": 140},
            True,
        ),
        (
            (OLD_V, ("cur_power", "W", 0, 300), ("cur_current", "mA", 0, 5000)),
            {"active_power": 30},
            True,
        ),
        # Whole watts beside tenths of a volt: believed where voltage x current is near, ...
        (
            (PLUG_V, ("cur_power", "W", 0, 1100), ("cur_current", "mA", 0, 5000)),
            {"active_power": 1100},
            False,
        ),
        # ... doubted where the load is inductive, ...
        (
            (PLUG_V, ("cur_power", "W", 0, 70), ("cur_current", "mA", 0, 1000)),
            {"active_power": 70},
            True,
        ),
        # ... and tenths where next to nothing flows, or what flows allows neither.
        (
            (PLUG_V, ("cur_power", "W", 0, 5), ("cur_current", "mA", 0, 80)),
            {"active_power": 0.5},
            True,
        ),
        (
            (PLUG_V, ("cur_power", "W", 0, 2300), ("cur_current", "mA", 0, 435)),
            {"active_power": 230},
            True,
        ),
        ((PLUG_V, ("cur_power", "W", 0, 8)), {"active_power": 0.8}, True),
        # One phase is no sum of phases.
        ((PLUG_V, ("cur_power_y", "W", 0, 83)), {"active_power_b": 8.3}, True),
        # Without an answer nothing is said of it.
        (
            (PLUG_V, ("cur_current", "mA", 0, 5000), ("cur_power", "W", 0, None)),
            {"current": 5},
            True,
        ),
        # Kilowatts that the maker gives three decimals are no tenths.
        ((PLUG_V, ("cur_power", "kW", 0, 2)), {"active_power": 2000}, False),
        # A load that no power of ten makes possible is not scaled.
        (
            (OLD_V, ("cur_power", "W", 0, 30_000), ("cur_current", "mA", 0, 5000)),
            {"active_power": 3000},
            True,
        ),
        # What a phase has is held against its own voltage, or else the device's.
        (
            (
                ("voltage", "V", 0, 400),
                ("voltage_b", "V", 1, 2300),
                ("current_b", "mA", 0, 10_000),
                ("apparent_power_b", "VA", 0, 3900),
            ),
            {"voltage_b": 230, "apparent_power_b": None},
            True,
        ),
        (
            (
                PLUG_V,
                ("current_b", "mA", 0, 10_000),
                ("apparent_power_b", "VA", 0, 3900),
            ),
            {"apparent_power_b": None},
            True,
        ),
        # Volts and hertz with too many decimals, or with too few.
        ((("supply_frequency", "Hz", 0, 50_010),), {"frequency": 50.01}, True),
        ((("supply_frequency", "Hz", 1, 50),), {"frequency": 50}, True),
        ((("supply_frequency", "Hz", 2, 50),), {"frequency": 50}, True),
        ((("supply_frequency", "Hz", 0, 65),), {"frequency": 65}, False),
        ((("supply_frequency", "Hz", 0, 45),), {"frequency": 45}, False),
        ((("cur_voltage", "V", 0, 230_100),), {"voltage": 230.1}, True),
        ((("cur_voltage", "V", 0, 5000),), {"voltage": 500}, True),
        ((("cur_voltage", "V", 1, 799),), {"voltage": 79.9}, True),
        ((("cur_voltage", "V", 1, 0),), {"voltage": 0}, False),
        # Power factors with other numbers of decimals.
        ((("power_factor", "", 0, 1),), {"power_factor": 1}, False),
        ((("power_factor", "", 0, 15),), {"power_factor": 0.15}, True),
        ((("power_factor", "", 0, 100),), {"power_factor": 1}, True),
        ((("power_factor", "", 0, 950),), {"power_factor": 0.95}, True),
        # Tenths of a degree, up to what is still hot.
        ((("temp_current", "℃", 0, 111),), {"temperature": 11.1}, True),
        ((("temp_current", "℃", 0, 1099),), {"temperature": 109.9}, True),
        # Phases that count ten times as finely as their total, and a load that only looks so.
        (
            (
                ("reverse_energy_total", "kWh", 2, 3000),
                ("reverse_energy_a", "kWh", 2, 10_000),
                ("reverse_energy_b", "kWh", 2, 20_000),
            ),
            {"energy_export": 30, "energy_export_a": 10, "energy_export_b": 20},
            True,
        ),
        (
            (("forward_energy_total", "kWh", 2, 3000), ("forward_energy_a", "kWh", 2, 30_000)),
            {"energy_import": 30, "energy_import_a": 300},
            False,
        ),
        (
            (
                ("forward_energy_total", "kWh", 2, 99),
                ("forward_energy_a", "kWh", 2, 400),
                ("forward_energy_b", "kWh", 2, 590),
            ),
            {"energy_import": 0.99, "energy_import_a": 4, "energy_import_b": 5.9},
            False,
        ),
        (
            (
                ("forward_energy_total", "kWh", 2, 3000),
                ("forward_energy_a", "kWh", 2, 10_000),
                ("forward_energy_b", "kWh", 2, 19_000),
            ),
            {"energy_import": 30, "energy_import_a": 100, "energy_import_b": 190},
            False,
        ),
    ],
)
def test_a_scale_is_corrected_only_where_nothing_else_explains_the_answer(
    points: tuple[Point, ...], values: dict[str, float], *, doubted: bool
) -> None:
    found = read(*integers(*points))
    assert {key: found.values.get(key) for key in values} == pytest.approx(values)
    assert bool(found.warnings) == doubted, found.warnings


@pytest.mark.parametrize(
    ("spec", "first", "raw", "value"),
    [
        # A plug that has nothing to measure yet tells by its room which volts and watts it counts.
        (Specified("1", "cur_voltage", "value", "V", 0, 0, 1000), 0, 2300, 230),
        (Specified("1", "cur_voltage", "value", "V", 0, 0, 999), 0, 230, 230),
        (Specified("1", "cur_voltage", "value", "V", 0, 0, None), 0, 230, 230),
        (Specified("1", "cur_power", "value", "W", 0, 0, 20_000), 0, 11_000, 1100),
        (Specified("1", "cur_power", "value", "W", 0, 0, None), 0, 11_000, 1100),
        (Specified("1", "cur_power", "value", "W", 0, 0, 19_999), 0, 1100, 1100),
        # Only the old plugs' word for power stands for tenths.
        (Specified("1", "total_power", "value", "W", 0, 0, 20_000), 0, 1100, 1100),
        # A thermometer that ends at 15 °C counts whole degrees, one that ends at 5.9 °C does not.
        (Specified("1", "temp_current", "value", "℃", 1, 0, 60), 20, 25, 25),
        (Specified("1", "temp_current", "value", "℃", 1, 0, 200), 20, 25, 25),
        (Specified("1", "temp_current", "value", "℃", 1, 0, 59), 20, 25, 2.5),
        (Specified("1", "temp_current", "value", "℃", 1, 0, 201), 20, 25, 2.5),
        (Specified("1", "temp_current", "value", "℃", 1, 0, None), 20, 25, 2.5),
        # An apparent power that was not answered yet is no contradiction.
        (Specified("1", "apparent_power", "value", "VA", 0, 0, 9999), None, 1200, 1200),
    ],
)
def test_what_a_first_answer_leaves_open_is_right_in_the_next(
    spec: Specified, first: int | None, raw: int, value: float
) -> None:
    power = Specified("2", "power_total", "value", "W", 0, 0, 9999)
    beside = () if "power" in spec.code and spec.code != "apparent_power" else (power,)
    answer = {"2": 1000} if beside else {}
    profile = infer((spec, *beside), answer | ({} if first is None else {"1": first}))
    (key,) = {point.key for dp, point in profile.datapoints.items() if dp == "1"}
    assert decode({"1": raw}, profile).values == pytest.approx({key: value})
