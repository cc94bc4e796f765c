"""What the words of a code, its unit and its bounds mean: a rule a row, with a near miss."""

import pytest
from support.specifications import Point, integers, read

from esquirell.domain.decoding import decode
from esquirell.domain.inference import Specified, infer, specified, words
from esquirell.domain.inference.meaning import counter_added_to, frame_suffix
from esquirell.domain.inference.specification import Fit, fit
from esquirell.domain.inference.units import unit_of

PLUG_V = ("cur_voltage", "V", 1, 2300)
PLUG_W = ("cur_power", "W", 1, 1100)
ROOM = 99_999_999


@pytest.mark.parametrize(
    ("code", "unit", "scale", "lowest", "highest", "key"),
    [
        ("supply_frequency", "", 2, 0, 9999, "frequency"),
        ("supply_frequency", "Hz", 2, 4500, 6500, "frequency"),
        ("factor", "", 0, 0, 9, None),
        ("factor", "", 2, 0, 99, None),
        ("factor", "", 2, 0, 1000, None),
        ("factor", "%", 2, 0, 100, "power_factor"),
        ("consumption", "", 0, 0, 9999, None),
        ("inverter_output_power", "W", 0, 0, 9999, "active_power_inverter"),
        ("output_power", "W", 0, 0, 9999, "active_power_output"),
        ("pv_input_voltage", "V", 1, 0, 9999, "voltage_pv"),
        ("pv2_input_voltage", "V", 1, 0, 9999, "voltage_pv2"),
        ("pv1_input_power", "W", 0, 0, 9999, "active_power_pv1"),
        ("apparent_energy", "kWh", 2, 0, ROOM, None),
        ("battery_percentage", "%", 0, 0, 100, "state_of_charge"),
        ("battery", "%", 0, 0, 100, None),
        ("temp_current", "", 0, -40, 99, "temperature"),
        ("cpu_temp", "℃", 0, -40, 99, "temperature"),
        ("pv_energy_total", "kWh", 2, 0, ROOM, "energy_generated_pv"),
        ("total_load_energy", "kWh", 2, 0, ROOM, None),
        ("total_grid_energy", "kWh", 2, 0, ROOM, "energy_import_grid"),
        # Nothing is measured from 2 V up, and a grid's frequency is.
        ("cur_voltage", "V", 0, 1, 300, "voltage"),
        ("cur_voltage", "V", 0, 2, 300, None),
        # A counter that months fill is of a day or a session; consumed says that it is a total.
        ("DeviceKwh", "kWh", 2, 0, 100_000, None),
        ("DeviceKwh", "kWh", 2, 0, 100_050, "energy_import"),
        ("energy_consumed", "kWh", 2, 0, 100_000, "energy_import"),
        ("energy_consumed", "kWh", 2, 0, 99_000, None),
        ("cur_current", "W", 0, 0, 9999, "active_power"),
        ("cur_leakage", "mA", 0, 0, 9999, "leakage_current"),
        ("residual_current", "mA", 0, 0, 9999, "leakage_current"),
        # SPM02's maker describes a power factor under that name.
        ("leakage_current", "", 2, -100, 100, "power_factor"),
        ("leakage_current", "", 3, 0, 100, "leakage_current"),
        ("cur_neutral", "kWh", 2, 0, ROOM, "energy_export"),
        ("battery_charge", "kWh", 2, 0, ROOM, "energy_charged"),
        ("battery_charge", "", 0, 0, 100, None),
        ("battery_charge_today", "kWh", 2, 0, ROOM, None),
        ("charge_power", "W", 0, 0, 9999, None),
        ("power_pw", "", 0, 0, 9999, "active_power"),
        ("pw_a", "", 0, 0, 9999, "active_power_a"),
        ("power_consumption_a", "W", 0, 0, 9999, "active_power_a"),
        ("pv_output_power", "W", 0, 0, 9999, "active_power_pv_output"),
        ("cur_current", "gear", 3, 0, 9999, "current"),
        ("factor", "Hz", 2, 0, 100, None),
        ("cos", "", 0, 0, 9999, "power_factor"),
        ("total", "", 2, 0, 100, None),
        ("energy_left", "kWh", None, 0, 100, None),
        ("temp_current", "℉", 0, -40, 99, None),
        ("factor", "", None, 0, 100, None),
        ("b_grid_load", "V", 0, 0, 300, None),
        ("accumulative_energy", "kWh", 2, 0, ROOM, "energy_import"),
        ("calibration_power", "W", 2, 0, ROOM, None),
        ("b", "", 0, 0, 9999, None),
        ("load_factor", "", 2, 0, 100, None),
        ("energy_12", "kWh", 2, 0, ROOM, "energy_import_12"),
        ("energy_123", "kWh", 2, 0, ROOM, None),
        ("energy_01", "kWh", 2, 0, ROOM, "energy_import_1"),
        ("energy_1_a_2", "kWh", 2, 0, ROOM, None),
        ("power_l2", "W", 0, 0, 9999, "active_power_b"),
        ("power_z", "W", 0, 0, 9999, "active_power_c"),
    ],
)
def test_a_code_means_what_its_words_unit_and_bounds_say_together(
    code: str, unit: str, scale: int, lowest: int, highest: int, key: str | None
) -> None:
    described = Specified("1", code, "value", unit, scale, lowest, highest)
    assert infer((described,), {}).datapoints["1"].key == key


@pytest.mark.parametrize(
    ("code", "kind", "suffix"),
    [
        ("phase_a", "raw", "a"),
        ("phase_a", "string", "a"),
        ("phase_s12", "string", "12"),
        ("phase_d", "raw", None),
        ("phase_a", "value", "a"),
        ("phase_ab", "string", None),
        ("pv1_dc_data", "raw", "pv1"),
        ("pv1_dc_data", "string", None),
        ("voltage", "raw", ""),
        ("phase_current", "json", ""),
        ("voltage", "string", None),
        ("phase_a_b", "raw", None),
        ("history", "raw", None),
        ("b", "raw", None),
        ("data", "raw", ""),
    ],
)
def test_a_frame_is_that_of_the_phase_in_its_code(code: str, kind: str, suffix: str | None) -> None:
    assert frame_suffix(code, kind) == suffix


@pytest.mark.parametrize(
    ("code", "raw", "values"),
    [
        ("cur_voltage", 2300, {"voltage": 230}),
        ("cur_current", 500, {"current": 0.5}),
        ("leakage_current", 12, {"leakage_current": 0.012}),
        ("cur_power", 1100, {"active_power": 110}),
        ("power_total", 500, {"active_power": 500}),
        ("active_power", 500, {"active_power": 500}),
        ("reactive_power", 12, {"reactive_power": 12}),
        ("power_factor", 95, {"power_factor": 0.95}),
        ("supply_frequency", 5000, {"frequency": 50}),
        ("temp_current", 25, {"temperature": 25}),
        ("forward_energy_total", 1234, {"energy_import": 12.34}),
        ("reverse_energy_total", 1234, {"energy_export": 12.34}),
        ("total_energy1", 1234, {"energy_import_1": 1.234}),
        ("total_energy2", 1234, {"energy_import_2": 1.234}),
        ("all_energy", 1234, {"energy_import": 1.234}),
    ],
)
def test_a_code_without_scale_is_taken_as_most_products_count_it(
    code: str, raw: int, values: dict[str, float]
) -> None:
    found = read({"1": {"code": code, "type": "Integer"}}, {"1": raw})
    assert found.values == pytest.approx(values)
    assert "the usual one is assumed" in found.warnings[0]


@pytest.mark.parametrize(
    ("text", "dimension", "size"),
    [
        ("MWh", "energy", 1000), ("kW", "power", 1000), ("Watts", "power", 1),
        ("kvar", "reactive", 1000), ("Var", "reactive", 1), ("VA", "apparent", 1),
        ("kVA", "apparent", 1000), ("mV", "voltage", 0.001), ("kV", "voltage", 1000),
        ("Volts", "voltage", 1), ("V AC", "voltage", 1), ("mA", "current", 0.001),
        ("Amps", "current", 1), ("HZ", "frequency", 1), ("°C", "temperature", 1),
        ("℉", "fahrenheit", 1), ("kvarh", "reactive energy", 1), ("%", "share", 1),
        ("PF", "share", 100), ("mW", "other", 1), ("MW", "other", 1), ("lx", "other", 1),
    ],
)  # fmt: skip
def test_a_unit_has_a_dimension_and_a_size(text: str, dimension: str, size: float) -> None:
    unit = unit_of(text)
    assert unit is not None
    assert (unit.dimension, unit.size) == (dimension, size)


@pytest.mark.parametrize("text", ["", " ", "N/A", "None", "*1"])
def test_an_empty_unit_is_no_unit(text: str) -> None:
    assert unit_of(text) is None


@pytest.mark.parametrize(
    ("code", "split"),
    [
        ("ActivePowerA", ("active", "power", "a")),
        ("IOTPower", ("iot", "power")),
        ("total_energy1", ("total", "energy", "1")),
        ("energy_sub123", ("energy", "sub123")),
        ("pv1_voltage", ("pv1", "voltage")),
        ("phase_s1", ("phase", "1")),
        ("forward_energy_t2", ("forward", "energy", "tariff")),
        ("current_l1", ("current", "l1")),
        ("acvoltage", ("ac", "voltage")),
        ("powerfactor", ("power", "factor")),
        ("volta", ("volt", "a")),
        ("cvolt", ("c", "volt")),
        # Short words, and letters beside what is no quantity, are not taken apart.
        ("pva", ("pva",)),
        ("chargea", ("chargea",)),
        ("temd", ("temd",)),
        ("hzac", ("hzac",)),
    ],
)
def test_a_code_is_split_into_its_words(code: str, split: tuple[str, ...]) -> None:
    assert words.words_of(code) == split


@pytest.mark.parametrize(
    ("word", "right"),
    [
        ("votage", "voltage"),
        ("voltagge", "voltage"),
        ("voltaje", "voltage"),
        ("poewr", "power"),
        ("ppower", "power"),
        ("powerr", "power"),
        ("powe", "powe"),
        ("voltages", "voltage"),
        ("voltagexx", "voltagexx"),
        ("volt4ge", "volt4ge"),
        ("ovltgae", "ovltgae"),
        ("power", "power"),
        # One letter off two words.
        ("hoper", "hoper"),
    ],
)
def test_a_word_that_is_one_letter_off_is_corrected(word: str, right: str) -> None:
    assert words.spelt((word,)) == (right,)


@pytest.mark.parametrize(
    ("word", "dimension", "place"),
    [
        ("u", "voltage", ""), ("ub", "voltage", "b"), ("acv", "voltage", "ac"),
        ("pvi", "current", "pv"), ("a", "current", ""), ("ia", "current", "a"),
        ("ba", "current", None), ("u2", "voltage", None), ("uq", "voltage", None),
        ("ub", "share", None),
    ],
)  # fmt: skip
def test_a_letter_of_a_formula_stands_beside_its_place(
    word: str, dimension: str, place: str | None
) -> None:
    assert words.place_beside(word, dimension) == place


@pytest.mark.parametrize(
    ("entry", "name", "code", "scale"),
    [
        ({"code": "cur_voltage", "values": {"scale": 9}}, "1", "cur_voltage", 9),
        ({"code": "cur_voltage", "values": {"scale": 10}}, "1", "cur_voltage", None),
        ({"code": "cur_voltage", "values": {"scale": -1}}, "1", "cur_voltage", None),
        ({"code": "cur_voltage", "values": {"scale": True}}, "1", "cur_voltage", None),
        ({"code": "cur_voltage", "values": {"scale": " 2 "}}, "1", "cur_voltage", 2),
        ({"code": "cur_voltage", "values": {"scale": "two"}}, "1", "cur_voltage", None),
        ({"values": {"scale": 1}}, "1", "1", 1),
    ],
)
def test_an_entry_is_read_as_far_as_it_makes_sense(
    entry: object, name: str, code: str, scale: int | None
) -> None:
    broken: dict[str, object] = {"2": 5, "": {"code": "cur_power"}, "3": None}
    (point,) = specified(broken | {"1": entry})
    assert (point.name, point.code, point.scale) == (name, code, scale)


@pytest.mark.parametrize(
    ("points", "also", "values", "left"),
    [
        # An unknown code is not taken for what the device has anyway.
        ((PLUG_V, PLUG_W, ("xq", "V", 1, 2310)), {}, {"voltage": 230}, True),
        ((PLUG_W, ("xq", "V", 1, 2310)), {"phase_a": ("Raw", "CSIAFfQABKE=")}, {}, True),
        ((("xq", "V", 1, 2300),), {}, {"voltage": None}, True),
        ((("xq", "V", 1, 3000), PLUG_W), {}, {"voltage": 300}, False),
        ((("cur_voltage", "V", 1, 790), ("xq", "mA", 0, 480)), {}, {"current": None}, True),
        ((PLUG_V, ("xq", "℃", 0, 25)), {}, {"temperature": None}, True),
        # ... not even where that was not answered, or is that of a phase.
        (
            (("cur_voltage", "V", 1, None), PLUG_W, ("xq", "V", 1, 2310)),
            {},
            {"voltage": None},
            True,
        ),
        ((("cur_voltage", "V", 1, None), ("xq", "mA", 0, 480)), {}, {"current": None}, True),
        ((PLUG_V, ("power_a", "W", 0, 90), ("xq", "W", 0, 80)), {}, {"active_power": None}, True),
        # Of two voltages the one that was answered counts.
        (
            (("cur_voltage", "V", 1, None), ("voltage", "V", 1, 2300), ("xq", "mA", 0, 480)),
            {},
            {"voltage": 230, "current": 0.48},
            False,
        ),
        # A power factor without a second one is the device's.
        ((("power_factor", "", 2, 90), ("power_a", "W", 1, 90)), {}, {"power_factor": 0.9}, False),
        (
            (("power_factor", "", 2, 90), ("power_factor_b", "", 2, 80), ("power_b", "W", 1, 90)),
            {},
            {"power_factor": 0.9, "power_factor_b": 0.8},
            False,
        ),
        # Of two names of one voltage the first counts.
        ((PLUG_V, ("voltage", "V", 1, 2310)), {}, {"voltage": 230}, False),
        # A device that has a voltage of its own has another one of its first channel.
        (
            (
                ("voltage_a", "V", 1, 2300),
                ("voltage", "V", 1, 4000),
                *((f"power_{x}", "W", 0, 10) for x in "ab"),
                *((f"current_{x}", "mA", 0, 50) for x in "ab"),
            ),
            {},
            {"voltage_a": 230, "voltage": 400},
            False,
        ),
        # A leakage that was not answered is nothing yet.
        (
            (
                PLUG_V,
                ("cur_current", "mA", 0, 5000),
                ("cur_power", "W", 1, 10_350),
                ("leakage_current", "mA", 0, None),
            ),
            {},
            {"power_factor": None, "leakage_current": None, "current": 5},
            False,
        ),
        # ... and where next to nothing flows, or that is not known, it is what it is called.
        *(
            (
                (
                    PLUG_V,
                    ("cur_current", "mA", 0, milliamperes),
                    ("cur_power", "W", 1, 50),
                    ("leakage_current", "mA", 0, 12),
                ),
                {},
                {"power_factor": None, "leakage_current": 0.012},
                False,
            )
            for milliamperes in (0, None)
        ),
        # A total that says its way is that, even if the other way came to as much.
        (
            (
                *((f"forward_energy_{x}", "kWh", 2, 1000) for x in "ab"),
                *((f"reverse_energy_{x}", "kWh", 2, 350) for x in "ab"),
                ("forward_energy_total", "kWh", 2, 700),
            ),
            {},
            {"energy_import": 7},
            False,
        ),
        (
            (
                *((f"forward_energy_{x}", "kWh", 2, 1000) for x in "ab"),
                *((f"reverse_energy_{x}", "kWh", 2, 1000) for x in "ab"),
                ("energy_total", "kWh", 2, 2000),
            ),
            {},
            {"energy_import": 20},
            False,
        ),
        # Both ways together are no import, even if only one way is counted beside them.
        (
            (("total_energy", "kWh", 2, 1000), ("backward_energy", "kWh", 2, 300)),
            {},
            {"energy_import": None, "energy_export": 3},
            False,
        ),
        # A leakage is a power factor where the one phase that is live says so.
        (
            (("leakage_current", "mA", 0, 84),),
            {"phase_a": ("Raw", "COwABY8AARA="), "phase_b": ("Raw", "AAAAAAAAAAA=")},
            {"power_factor": 0.84},
            False,
        ),
        (
            (("leakage_current", "mA", 0, 84),),
            {"phase_a": ("Raw", "COwABY8AARA="), "phase_b": ("Raw", "COwABY8AARA=")},
            {"leakage_current": 0.084},
            False,
        ),
        (
            (
                ("voltage_a", "V", 1, 2300),
                ("current_a", "mA", 0, 5000),
                ("power_a", "W", 1, 10_350),
                ("leakage_current", "mA", 0, 90),
            ),
            {},
            {"power_factor": 0.9},
            False,
        ),
        (
            (
                ("voltage_a", "V", 1, 2300),
                ("voltage_b", "V", 1, 2300),
                ("current_a", "mA", 0, 5000),
                ("power_a", "W", 1, 10_350),
                ("leakage_current", "mA", 0, 90),
            ),
            {},
            {"leakage_current": 0.09},
            False,
        ),
        (
            (
                PLUG_V,
                ("cur_current", "mA", 0, 5000),
                ("cur_power", "W", 1, 10_350),
                ("leakage_current", "mA", 0, 90),
                ("power_factor", "", 2, 90),
            ),
            {},
            {"leakage_current": 0.09, "power_factor": 0.9},
            False,
        ),
        # A voltage that a second clamp has, too, is that of the first.
        (
            (
                ("voltage_a", "V", 1, 2300),
                ("voltage_b", "V", 1, 2310),
                *((f"power_{x}", "W", 0, 10) for x in "ab"),
                *((f"current_{x}", "mA", 0, 50) for x in "ab"),
            ),
            {},
            {"voltage_a": 230, "voltage_b": 231},
            False,
        ),
        # The last of two names of one counter stays where it alone has a value.
        (
            (("total_ele", "kWh", 2, None), ("all_energy", "kWh", 2, 90_000)),
            {},
            {"energy_import": 900},
            False,
        ),
        (
            (("energy", "kWh", 2, 77_000), ("total_energy", "kWh", 2, 90_000)),
            {},
            {"energy_import": 900},
            False,
        ),
        # Channels add up to their total as phases do.
        (
            (
                ("energy_1", "kWh", 2, 1000),
                ("energy_2", "kWh", 2, 2000),
                ("total_ele", "kWh", 2, 77),
                ("all_energy", "kWh", 2, 3000),
            ),
            {},
            {"energy_import": 30, "energy_import_1": 10, "energy_import_2": 20},
            False,
        ),
        # One alone is no sum.
        (
            (
                ("energy_1", "kWh", 2, 1000),
                ("total_ele", "kWh", 2, 77),
                ("all_energy", "kWh", 2, 1000),
            ),
            {},
            {"energy_import": None, "energy_import_1": 10},
            False,
        ),
        # Of which one is not known, they add up to nothing; nor does a total that is not known.
        (
            (
                *((f"energy_{x}", "kWh", 2, 1000) for x in "ab"),
                ("energy_c", "kWh", 2, None),
                ("total_ele", "kWh", 2, 77),
                ("all_energy", "kWh", 2, 2000),
            ),
            {},
            {"energy_import": None, "energy_import_a": 10},
            False,
        ),
        # The first phase has no name next to the others, unless these are not there.
        (
            (("cur_current", "A", 3, 6120), ("b_cur", "A", 3, 6022), ("c_cur", "A", 3, 5980)),
            {},
            {"current": None, "current_a": 6.12, "current_b": 6.022},
            False,
        ),
        (
            (("cur_voltage", "V", 1, 2301), ("bv", "V", 1, None), ("cv", "V", 1, None)),
            {},
            {"voltage": 230.1, "voltage_a": None},
            False,
        ),
        (
            (("total_current", "A", 3, 12_100), ("current_b", "A", 3, 6022)),
            {},
            {"current": 12.1, "current_a": None},
            False,
        ),
        (
            (
                *((f"energy_{x}", "kWh", 2, 1000) for x in "ab"),
                ("total_ele", "kWh", 2, None),
                ("all_energy", "kWh", 2, 2000),
            ),
            {},
            {"energy_import": 20, "energy_import_a": 10},
            False,
        ),
    ],
)
def test_what_a_code_leaves_open_is_settled_by_the_others(
    points: tuple[Point, ...],
    also: dict[str, tuple[str, object]],
    values: dict[str, float],
    *,
    left: bool,
) -> None:
    found = read(*integers(*points, **also))
    assert {key: found.values.get(key) for key in values} == pytest.approx(values)
    assert ("xq" in found.diagnostics) == left


@pytest.mark.parametrize(
    ("total", "beside", "category", "watts"),
    [
        # What the panels give, or the grid gets, says whether a total can be watts.
        (("power_total", 250), ("pv_power_total", 100), "znnbq", 250),
        (("power_total", 300), ("pv_power_total", 100), "znnbq", 0.3),
        (("power_total", 300), ("ac_power", 100), "znnbq", 0.3),
        (("power_total", 300), ("ac_power", 250), "znnbq", 300),
        # Of an inverter of one's own category, or anything that has panels; only under that name.
        (("power_total", 99_000), ("pv_power_total", 100), "cz", 99),
        (("power_total", 99_000), ("battery_power", 100), "cz", 99_000),
        (("total_power", 99_000), ("pv_power_total", 100), "znnbq", 99_000),
        # Alone, by what such a device can make.
        (("power_total", 5000), None, "znnbq", 5000),
        (("power_total", 30_000), None, "xnyjcn", 30_000),
        (("power_total", 30_001), None, "xnyjcn", 30.001),
    ],
)
def test_the_total_of_an_inverter_is_watts_or_milliwatts(
    total: tuple[str, int], beside: tuple[str, int] | None, category: str, watts: float
) -> None:
    points = [(total[0], "kW", 3, total[1])]
    points += [(beside[0], "W", 0, beside[1])] if beside else []
    assert read(*integers(*points), category=category).values["active_power"] == watts


@pytest.mark.parametrize(
    ("lowest", "volts", "degrees"), [(-40, 2300, 25), (-40, 0, None), (0, 2300, None)]
)
def test_a_plug_with_a_thermometer_measures_below_zero(
    lowest: int, volts: int, degrees: float | None
) -> None:
    values = {"unit": "℃", "scale": 0, "min": lowest, "max": 150}
    mapping, answer = integers(("cur_voltage", "V", 1, volts))
    mapping["9"] = {"code": "xq", "type": "Integer", "values": values}
    assert read(mapping, answer | {"9": 25}).values.get("temperature") == degrees


@pytest.mark.parametrize(
    ("spec", "raw", "how"),
    [
        (Specified("1", "x", "value", lowest=0, highest=100), 130, Fit.FULL),
        (Specified("1", "x", "value", lowest=0, highest=100), 131, Fit.KIND),
        (Specified("1", "x", "value", lowest=0, highest=100), 10_000, Fit.KIND),
        (Specified("1", "x", "value", lowest=0, highest=100), 10_001, Fit.NO),
        (Specified("1", "x", "value", lowest=0, highest=100), -1, Fit.KIND),
        (Specified("1", "x", "value", lowest=-5, highest=100), -5, Fit.FULL),
        (Specified("1", "x", "value", lowest=5, highest=100), 0, Fit.FULL),
        (Specified("1", "x", "value", highest=0), 1, Fit.FULL),
        (Specified("1", "x", "value"), 10**9, Fit.FULL),
        (Specified("1", "x", "value"), None, Fit.FULL),
        (Specified("1", "x", "value"), "5", Fit.NO),
        (Specified("1", "x", "value"), True, Fit.NO),
        (Specified("1", "x", "fault"), 5, Fit.KIND),
        (Specified("1", "x", "bitmap"), 0, Fit.FULL),
        (Specified("1", "x", "bitmap"), -1, Fit.NO),
        (Specified("1", "x", "bool"), True, Fit.FULL),
        (Specified("1", "x", "boolean"), 1, Fit.NO),
        (Specified("1", "x", "raw"), "AA==", Fit.FULL),
        (Specified("1", "x", "json"), {"L1": {}}, Fit.FULL),
        (Specified("1", "x", "string"), 5, Fit.NO),
        (Specified("1", "x", "enum", choices=("on",)), "on", Fit.FULL),
        (Specified("1", "x", "enum", choices=("on",)), "off", Fit.KIND),
        (Specified("1", "x", "enum", choices=("on",)), 1, Fit.NO),
    ],
)
def test_an_answer_fits_a_description_fully_by_its_kind_or_not(
    spec: Specified, raw: object, how: Fit
) -> None:
    assert fit(spec, raw) == how


@pytest.mark.parametrize(
    "junk", [5, None, "", [], {"values": {}}, {"code": 7}, {"code": "xq", "values": [1]}]
)
def test_senseless_entries_of_a_list_are_left_out(junk: object) -> None:
    known = {"code": "phase_a", "dp_id": 6, "typeSpec": {"type": "raw", "range": ["x", 1]}}
    points = {point.code: point for point in specified([junk, known])}
    assert points.keys() <= {"phase_a", "xq"}
    assert points["phase_a"] == Specified("6", "phase_a", "raw", choices=("x",))


def test_a_report_is_asked_for_what_a_plug_measures() -> None:
    points = integers(PLUG_W, ("cur_language", "", 0, 2), ("total_power", "W", 0, 9))
    profile = infer(specified(points[0]), points[1])
    assert profile.refresh == (101,)
    assert infer((), {"cur_power": 1100}).refresh == ()


@pytest.mark.parametrize("raw", [True, "on", None])
def test_a_datapoint_that_is_not_a_number_measures_nothing(raw: object) -> None:
    assert "" not in infer((), {"cur_power": raw, "": 5}).datapoints
    assert decode({"cur_power": raw}, infer((), {"cur_power": raw})).values == {}


@pytest.mark.parametrize(
    ("code", "report", "highest", "key"),
    [
        ("add_ele", "", 500_000, "energy_import"),
        ("add_ele_b", "", None, "energy_import_b"),
        ("add_ele", "", 500_001, None),
        ("add_ele", "minux", 500_000, None),
        ("today_add_ele", "", 500_000, None),
        ("phase_b", "", 500_000, None),
        ("ele_b", "", 500_000, None),
    ],
)
def test_an_increment_is_added_to_the_counter_of_its_phase(
    code: str, report: str, highest: int | None, key: str | None
) -> None:
    spec = Specified("1", code, "value", "kwh", 3, 0, highest, report)
    assert counter_added_to(spec) == key


@pytest.mark.parametrize(("code", "way"), [("direction_b", "b"), ("direction_c", None)])
def test_a_direction_is_that_of_the_frame_of_its_phase(code: str, way: str | None) -> None:
    frame = ("Raw", "CSIAFfQABKE=")
    mapping, answer = integers(phase_b=frame, **{code: ("Enum", "REVERSE")})
    assert read(mapping, answer).values["active_power_b"] == (-1185 if way else 1185)


def test_the_panels_of_an_inverter_say_more_than_its_thermometer() -> None:
    points = integers(("power_total", "kW", 3, 110), ("pv_power_total", "W", 0, 100))
    warm = {"unit": "℃", "scale": 1, "min": -40, "max": 150}
    points[0]["18"] = {"code": "temp_current", "type": "Integer", "values": warm}
    assert read(points[0], points[1] | {"18": 28}, category="znnbq").values == {
        "active_power": 110,
        "active_power_pv": 100,
        "temperature": 28,
    }


@pytest.mark.parametrize(
    ("code", "scale", "highest", "watts"),
    [
        # Tenths of a degree that are whole ones, tenths, and whole ones as they are described.
        ("temp_current", 1, 150, 1.906),
        ("temp_current", 1, 1500, 1906),
        ("temp_current", 0, 150, 1906),
        ("reactive_power", 1, 150, 1906),
    ],
)
def test_an_inverter_counts_milliwatts_if_its_thermometer_lacks_a_decimal(
    code: str, scale: int, highest: int, watts: float
) -> None:
    mapping, answer = integers(("power_total", "kW", 3, 1906))
    values = {"scale": scale, "min": -40, "max": highest}
    mapping["18"] = {"code": code, "type": "Integer", "values": values}
    found = read(mapping, answer | {"18": 28}, category="znnbq")
    assert found.values["active_power"] == watts


@pytest.mark.parametrize(("lowest", "watts"), [(0, -50), (-9999, 50)])
def test_a_power_that_has_a_sign_of_its_own_keeps_it(lowest: int, watts: float) -> None:
    values = {"unit": "W", "scale": 1, "min": lowest, "max": 50_000}
    mapping = {
        "1": {"code": "total_power", "type": "Integer", "values": values},
        "2": {"code": "direction", "type": "Enum", "values": "{}"},
    }
    assert read(mapping, {"1": 500, "2": "REVERSE"}).values == {"active_power": watts}
