"""Each rule of inference where it applies, and just beside it, where it does not."""

from base64 import b64encode
from typing import Any

import pytest
from support.specifications import Point, integers, read

from esquirell.domain.inference import Specified, infer

PLUG_V = ("cur_voltage", "V", 1, 2300)


@pytest.mark.parametrize(
    ("points", "values", "left"),
    [
        # A code that nobody knows is adopted where its unit and its neighbours prove it ...
        ((("xq", "V", 1, 2300), ("cur_power", "W", 1, 1100)), {"voltage": 230.0}, set()),
        ((("xq", "V", 1, 799), ("cur_power", "W", 1, 1100)), {}, {"xq"}),
        ((("xq", "V", 1, 800), ("cur_power", "W", 1, 1100)), {"voltage": 80.0}, set()),
        ((("xq", "V", 1, 3001), ("cur_power", "W", 1, 1100)), {}, {"xq"}),
        ((PLUG_V, ("xq", "mA", 0, 480)), {"current": 0.48}, set()),
        ((("xq", "mA", 0, 480),), {}, {"xq"}),
        ((PLUG_V, ("xq", "W", 0, 1100)), {"active_power": 1100}, set()),
        (
            (PLUG_V, ("cur_current", "mA", 0, 5000), ("xq", "W", 0, 1100)),
            {"active_power": 1100},
            set(),
        ),
        ((PLUG_V, ("cur_current", "mA", 0, 5000), ("xq", "W", 0, 3000)), {}, {"xq"}),
        (
            (PLUG_V, ("cur_current", "mA", 0, None), ("xq", "W", 0, 3000)),
            {"active_power": 3000},
            {},
        ),
        # ... alone: of two that could be it none is.
        ((PLUG_V, ("xq", "W", 0, 1100), ("xk", "W", 0, 1100)), {}, {"xq", "xk"}),
        # One voltage of two channels is that of both.
        (
            (
                ("voltage_a", "V", 1, 2300),
                *((f"power_{x}", "W", 0, 10) for x in "ab"),
                *((f"current_{x}", "mA", 0, 50) for x in "ab"),
            ),
            {"voltage": 230.0, "active_power_a": 10, "active_power_b": 10},
            set(),
        ),
        (
            (("voltage_a", "V", 1, 2300), ("power_a", "W", 0, 10), ("current_a", "mA", 0, 50)),
            {"voltage_a": 230.0},
            set(),
        ),
        # A first channel without a second one is no channel, if the device has its own.
        (
            (("power_total", "kW", 3, 450), ("power_total1", "kW", 3, 0)),
            {"active_power": 450},
            set(),
        ),
        ((("total_power1", "kW", 3, 450),), {"active_power_1": 450}, set()),
        # Of two totals the one that says so.
        (
            (("sigle_phase_power", "kW", 3, 7), ("power_total", "kW", 3, 450)),
            {"active_power": 450},
            set(),
        ),
        # A quantity that its unit alone, or its word alone, says to be reactive.
        ((("reactive_power", "W", 0, 120),), {"reactive_power": 120}, set()),
        ((("power_b", "var", 0, 120),), {"reactive_power_b": 120}, set()),
        ((("power_b", "VA", 0, 120),), {"apparent_power_b": 120}, set()),
        # Volts of the old plugs at the borders of what a grid has.
        ((("cur_voltage", "V", 0, 500),), {"voltage": 500}, set()),
        ((("cur_voltage", "V", 0, 501),), {"voltage": 501}, set()),
        ((("cur_voltage", "V", 0, 800),), {"voltage": 80}, set()),
        ((("cur_voltage", "V", 0, 0),), {"voltage": 0}, set()),
        # A share in hundredths, which no value of this size tells.
        ((("power_factor", "%", 0, 1),), {"power_factor": 0.01}, set()),
        # A leakage that is the power factor, and one that is none.
        (
            (
                PLUG_V,
                ("cur_power", "W", 1, 10_350),
                ("cur_current", "mA", 0, 5000),
                ("leakage_current", "mA", 0, 90),
            ),
            {"power_factor": 0.9},
            set(),
        ),
        # ... of three phases, 2,030 W of 2,538 VA together.
        (
            (
                *(
                    phase
                    for one in "abc"
                    for phase in (
                        (f"cur_voltage_{one}", "V", 1, 2350),
                        (f"cur_current_{one}", "mA", 0, 3600),
                    )
                ),
                ("cur_power_a", "W", 0, 830),
                ("cur_power_b", "W", 0, 600),
                ("cur_power_c", "W", 0, 600),
                ("leakage_current", "A", 2, 80),
            ),
            {"power_factor": 0.8},
            set(),
        ),
        (
            (
                PLUG_V,
                ("cur_power", "W", 1, 10_350),
                ("cur_current", "mA", 0, 5000),
                ("leakage_current", "mA", 0, 80),
            ),
            {"leakage_current": 0.08},
            set(),
        ),
        (
            (
                PLUG_V,
                ("cur_power", "W", 1, 10_350),
                ("cur_current", "mA", 0, 5000),
                ("leakage_current", "mA", 0, 0),
            ),
            {"leakage_current": 0},
            set(),
        ),
        # Amperes that no plug has are milliamperes; fewer only where the power says so.
        ((PLUG_V, ("cur_current", "A", 0, 501)), {"current": 0.501}, set()),
        ((PLUG_V, ("cur_current", "A", 0, 500)), {"current": 500}, set()),
        (
            (PLUG_V, ("cur_power", "W", 1, 110), ("cur_current", "A", 0, 50)),
            {"current": 0.05},
            set(),
        ),
        ((PLUG_V, ("cur_power", "W", 1, 0), ("cur_current", "A", 0, 50)), {"current": 50}, set()),
        # A voltage that is none of a grid is taken as it stands, however high.
        ((("pv1_voltage", "V", 0, 900),), {"voltage_pv1": 900}, set()),
        # A power that is what its phases add up to is no number of tenths.
        (
            (("cur_power", "W", 0, 300), *((f"power_{x}", "W", 0, 100) for x in "abc")),
            {"active_power": 300},
            set(),
        ),
        # Degrees that the maker gives a decimal too many.
        ((("temp_current", "℃", 1, 1110),), {"temperature": 11.1}, set()),
        ((("temp_current", "℃", 1, 1100),), {"temperature": 110}, set()),
    ],
)
def test_a_rule_applies_where_it_does_and_just_beside_it_does_not(
    points: tuple[Point, ...], values: dict[str, float], left: set[str]
) -> None:
    mapping, answer = integers(*points)
    for name, point in mapping.items():
        if point["code"] == "cur_voltage":
            point["values"]["max"] = 5000
        answer = {key: raw for key, raw in answer.items() if raw is not None or key != name}
    found = read(mapping, answer)
    assert {key: found.values.get(key) for key in values} == pytest.approx(values)
    assert {code for code in found.diagnostics if code.startswith("x")} == set(left)


@pytest.mark.parametrize(
    ("points", "warning"),
    [
        ((("cur_voltage", "V", 0, 50),), "50 V is unusual for a grid"),
        ((("cur_power", "W", 1, 1_500_000),), "150000 W is more than a house has"),
        (
            (PLUG_V, ("cur_current", "mA", 0, 480), ("cur_power", "W", 0, 1100)),
            "1100 W is more than voltage x current: the device counts tenths",
        ),
    ],
)
def test_corrections_doubts_and_omissions_are_reported(
    points: tuple[Point, ...], warning: str
) -> None:
    warnings = read(*integers(*points)).warnings
    assert any(warning in one for one in warnings), warnings


@pytest.mark.parametrize(
    ("frames", "keys"),
    [
        # Phases that nobody described: by a grid's voltage, or by none at all.
        ({"6": (2300, 5000, 1100)}, {"voltage_a", "current_a", "active_power_a"}),
        ({"6": (800, 5000, 300)}, {"voltage_a", "current_a", "active_power_a"}),
        ({"6": (799, 5000, 300)}, set()),
        ({"6": (5001, 5000, 1100)}, set()),
        ({"6": (0, 0, 0)}, {"voltage_a", "current_a", "active_power_a"}),
        ({"6": (0, 0, 5)}, set()),
        ({"7": (2300, 5000, 1100)}, set()),
        (
            {"6": (2300, 5000, 1100), "8": (2300, 0, 0)},
            {f"{q}_{x}" for q in ("voltage", "current", "active_power") for x in "ac"},
        ),
    ],
)
def test_undescribed_frames_with_a_grid_voltage_are_phases(
    frames: dict[str, tuple[int, int, int]], keys: set[str]
) -> None:
    answer: dict[str, Any] = {
        dp: b64encode(v.to_bytes(2) + i.to_bytes(3) + p.to_bytes(3)).decode()
        for dp, (v, i, p) in frames.items()
    }
    mapping, described = integers(("supply_frequency", "Hz", 0, 50))
    found = read(mapping, described | answer)
    assert found.values.keys() - {"frequency"} == keys


@pytest.mark.parametrize(
    ("unit", "scale", "kwh"),
    [("kWh", 3, 0.5), ("kWh", 2, 5.0), ("Wh", 0, 0.5), ("Wh", 1, 50.0), ("", 0, 500.0)],
)
def test_increments_are_counted_in_their_unit(unit: str, scale: int, kwh: float) -> None:
    """Nobody counts thousandths of a watt-hour: with decimals it is kWh, whatever is written."""
    described = Specified("1", "add_ele", "value", unit, scale, 0, 50_000)
    assert 500 / infer((described,), {}).datapoints["1"].divisor == kwh


@pytest.mark.parametrize(
    ("lowest", "sentinels"),
    [
        (-9_999_999, (-9_999_999,)),
        (-999_999, (-999_999,)),
        (-99_999, ()),
        (-9_999_998, ()),
        (-999_900, ()),
        (0, ()),
    ],
)
def test_only_a_lowest_value_of_six_nines_or_more_says_that_nothing_was_measured(
    lowest: int, sentinels: tuple[int, ...]
) -> None:
    described = Specified("1", "cur_power", "value", "W", 0, lowest, 9_999_999)
    assert infer((described,), {}).datapoints["1"].sentinels == sentinels
