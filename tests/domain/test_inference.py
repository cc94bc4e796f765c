"""Specifications as makers write them, and what devices answer: a table of made-up products."""

import pytest
from hypothesis import strategies as st
from support.specifications import Point, integers, read

from esquirell.domain.inference import Specified, infer
from esquirell.profiles.capture import try_capture

PLUG_V = ("cur_voltage", "V", 1, 2300)


@pytest.mark.parametrize(
    ("points", "values"),
    [
        # The old plugs count tenths under scale 0.
        (
            (
                ("cur_voltage", "V", 0, 2352),
                ("cur_power", "W", 0, 83),
                ("cur_current", "mA", 0, 81),
            ),
            {"voltage": 235.2, "active_power": 8.3, "current": 0.081},
        ),
        ((("cur_voltage", "V", 0, 2352), ("cur_power", "W", 0, 83)), {"active_power": 8.3}),
        ((("cur_voltage", "mAh", 0, 2352),), {"voltage": 235.2}),
        # ... and where they mean what they say, they are believed.
        (
            (
                ("cur_voltage", "V", 0, 230),
                ("cur_power", "W", 0, 1100),
                ("cur_current", "mA", 0, 5000),
            ),
            {"voltage": 230, "active_power": 1100, "current": 5},
        ),
        # One scale of three is wrong.
        (
            (PLUG_V, ("cur_power", "W", 0, 11_374), ("cur_current", "mA", 0, 5466)),
            {"voltage": 230, "active_power": 1137.4, "current": 5.466},
        ),
        (
            (PLUG_V, ("cur_power", "kW", 3, 640), ("cur_current", "A", 3, 2800)),
            {"active_power": 640},
        ),
        ((("cur_voltage", "V", 2, 23_092), ("cur_power", "W", 2, 1250)), {"active_power": 12.5}),
        ((("cur_voltage", "V", 1, 23_092),), {"voltage": 230.92}),
        (
            (PLUG_V, ("cur_power", "W", 1, 11_000), ("cur_current", "A", 2, 4800)),
            {"current": 4.8, "active_power": 1100},
        ),
        (
            (PLUG_V, ("cur_power", "W", 1, 11_000), ("cur_current", "A", 0, 4800)),
            {"current": 4.8, "active_power": 1100},
        ),
        ((PLUG_V, ("cur_current", "A", 2, 480)), {"current": 4.8}),
        ((PLUG_V, ("cur_current", "", 0, 480)), {"current": 0.48}),
        ((("supply_frequency", "Hz", 0, 5001), ("power_factor", "", 3, 950)), {"frequency": 50.01}),
        ((("supply_frequency", "Hz", 1, 499),), {"frequency": 49.9}),
        ((("supply_frequency", "Hz", 2, 0),), {"frequency": 0}),
        ((("power_factor", "", 0, 95),), {"power_factor": 0.95}),
        ((("power_factor", "%", 0, 95),), {"power_factor": 0.95}),
        ((("power_factor", "PF", 2, -95),), {"power_factor": -0.95}),
        ((("temp_current", "℃", 1, 385),), {"temperature": 38.5}),
        ((("temp_current", "摄氏度", 0, 38),), {"temperature": 38}),
        ((("Temperature", "度", 1, 385),), {"temperature": 38.5}),
        # Energy in 26 spellings, Wh beside kWh.
        ((("forward_energy_total", "kW.h", 2, 1234),), {"energy_import": 12.34}),
        ((("total_forward_energy", "*0.01kW·h", 2, 1234),), {"energy_import": 12.34}),
        ((("electric_total", "W·h", 0, 12_340),), {"energy_import": 12.34}),
        ((("accumulated_electricity", "kW.h", 3, 12_340),), {"energy_import": 12.34}),
        ((("energy_sub3", "kW·h", 2, 1234),), {"energy_import_3": 12.34}),
        ((("RKWH", "kWh", 2, 1234),), {"energy_export": 12.34}),
        # TONGOU's, of which only the name says a unit.
        ((("EP_A", "", 2, 1234), ("EP_T", "", 2, 5000)), {"energy_import_a": 12.34}),
        ((("Pw_A", "", 0, -200), ("pw_t", "W", 0, 5)), {"active_power_a": -200, "active_power": 5}),
        ((PLUG_V, ("cur_power", "W", 1, 5), ("ACHZ", "Hz", 0, 50)), {"frequency": 50}),
        ((("backward_energy", "KWh", 2, 1234),), {"energy_export": 12.34}),
        ((("cur_neutral", "kW.h", 2, 1234),), {"energy_export": 12.34}),
        ((("energy_reserse_b", "k-Wh", 2, 1234),), {"energy_export_b": 12.34}),
        ((("EnergyConsumedA", " Kw·h", 2, 1234),), {"energy_import_a": 12.34}),
        ((("total_energy2", "kwh", 3, 1234),), {"energy_import_2": 1.234}),
        ((("all_energy", "kwh", 3, 1234),), {"energy_import": 1.234}),
        ((("power_consumption", "kW·h", 2, 1234),), {"energy_import": 12.34}),
        ((("power_consumption", "W", 0, 86),), {"active_power": 86}),
        # Power under its many names.
        ((("power", "", 0, 4433),), {"active_power": 4433}),
        ((("power", "*01kW", 1, 35),), {"active_power": 3500}),
        ((("power", "Watt", 1, 350),), {"active_power": 35}),
        ((("total_power", "kW", 4, 12_181),), {"active_power": 1218.1}),
        ((("power_total", "kW", 2, 35),), {"active_power": 350}),
        # Whole watts, as voltage x current says; tenths, as nothing says otherwise.
        (
            (PLUG_V, ("cur_power", "W", 0, 1100), ("cur_current", "mA", 0, 5000)),
            {"active_power": 1100},
        ),
        ((PLUG_V, ("cur_power", "W", 0, 83)), {"active_power": 8.3}),
        ((("power_total", "kW", 3, -747),), {"active_power": -747}),
        ((("ActivePowerB", "kW", 3, -317),), {"active_power_b": -317}),
        ((("cur_power_y", "kW", 3, 56),), {"active_power_b": 56}),
        ((("sigle_phase_power", "kW", 3, 56),), {"active_power": 56}),
        ((("ReactivePowerC", "var", 0, 12),), {"reactive_power_c": 12}),
        ((("leakage_current", "mA", 0, 12),), {"leakage_current": 0.012}),
        ((("leakage_current", "A", 3, 12),), {"leakage_current": 0.012}),
        # The unit decides where the word is unknown, one letter off, or a letter of a formula.
        ((("DeviceKw", "kW", 1, 37),), {"active_power": 3700}),
        (
            (("VO", "V", 0, 229), ("A", "A", 1, 62), ("KW", "kW", 1, 14)),
            {"voltage": 229, "current": 6.2, "active_power": 1400},
        ),
        ((("volta", "V", 0, 230), ("cvolt", "V", 0, 231)), {"voltage_a": 230, "voltage_c": 231}),
        ((("LineVotage", "V", 0, 230), ("cur_curent", "mA", 0, 500)), {"voltage": 230}),
        ((("poewr_b", "kW", 3, 230),), {"active_power_b": 230}),
        ((("factor", "PF", 2, 95),), {}),
        (
            (("ua", "V", 1, 2301), ("ib", "A", 3, 500), ("pc", "W", 0, 115), ("q", "kvar", 3, 7)),
            {"voltage_a": 230.1, "current_b": 0.5, "active_power_c": 115, "reactive_power": 7},
        ),
        (
            (("s", "kVA", 3, 700), ("ACV", "v", 1, 2301), ("PVI", "A", 2, 510)),
            {"voltage_ac": 230.1},
        ),
        ((("inp_current", "A", 2, 87), ("oup_current", "A", 2, 9)), {"current_input": 0.87}),
        ((("electricity_phase_b", "A", 2, 125),), {"current_b": 1.25}),
        ((("power_current", "W", 1, 125),), {"active_power": 12.5}),
        ((("cumulative_power", "kWh", 2, 125),), {"energy_import": 1.25}),
        ((("total_comsumption", "kWh", 2, 125),), {"energy_import": 1.25}),
        ((("batt_char_total", "kW·h", 1, 125),), {"energy_charged": 12.5}),
        ((("reserve_energy_circuit_1", "kW·h", 2, 125),), {"energy_export_1": 1.25}),
        ((("fac", "Hz", 2, 4999),), {"frequency": 49.99}),
        # Inverters and storage.
        ((("pv_power_channel_1", "kW", 3, 250),), {"active_power_pv1": 250}),
        ((("pv_power_channel_3", "W", 0, 250),), {"active_power_pv3": 250}),
        ((("pv_power_total", "kW", 3, 500),), {"active_power_pv": 500}),
        ((("battery_power", "kW", 3, -500),), {"active_power_battery": -500}),
        ((("current_soc", "%", 0, 84),), {"state_of_charge": 84}),
        ((("cumulative_energy_charged", "kW·h", 2, 84),), {"energy_charged": 0.84}),
        ((("cumulative_energy_discharged", "kW·h", 2, 84),), {"energy_discharged": 0.84}),
        ((("cumulative_energy_generated_pv", "kW·h", 2, 84),), {"energy_generated": 0.84}),
        # A second word for the same: the total counts.
        (
            (("power_a", "W", 1, 100), ("power_b", "W", 1, 50), ("total_power", "W", 1, 150)),
            {"active_power_a": 10, "active_power_b": 5, "active_power": 15},
        ),
    ],
)
def test_products_are_understood(points: tuple[Point, ...], values: dict[str, float]) -> None:
    found = read(*integers(*points))
    assert {key: found.values.get(key) for key in values} == pytest.approx(values)


@pytest.mark.parametrize(
    ("code", "unit", "scale"),
    [
        *((code, "kwh", 3) for code in ("add_ele", "add_ele1", "today_energy_add1", "electric")),
        *((code, "kW·h", 2) for code in ("balance_energy", "charge_energy", "energy_charge")),
        *((code, "kW·h", 2) for code in ("charge_energy_once", "forward_energy_t1", "leakage_ele")),
        *((code, "kwh", 3) for code in ("today_acc_energy1", "month_energy", "credit")),
        *((code, "kvarh", 2) for code in ("reactive_energy_total", "forward_energy_total")),
        *((code, "kW·h", 2) for code in ("cumulative_energy_output_inv", "cuml_e_export_offgrid1")),
        *((code, "V", 0) for code in ("over_voltage", "low_voltage", "ov_threshold", "ovp")),
        *((code, "A", 0) for code in ("over_current", "charge_cur_set", "oc_threshold_b", "olcp")),
        *((code, "W", 0) for code in ("warn_power1", "op_threshold", "power_adj", "opp")),
        *((code, "", 0) for code in ("voltage_coe", "electric_coe", "power_coef_b", "test_bit")),
        *((code, "", 3) for code in ("current_a_calibration", "freq_calibration", "power_type1")),
        *((code, "℃", 0) for code in ("temp_set", "temp_top", "compressor_strength")),
        ("temp_current", "℉", 0),
        ("Leakage_current", "mA", 0),
        ("electric_total", "%", 0),
        ("cur_neutral", "mA", 0),
        ("countdown_1", "s", 0),
        ("device_pw", "", 0),
        ("price", "", 2),
        ("total_power", "Wh", 0),
        *((code, "A", 1) for code in ("Compressor_current", "fancurrent", "n_current", "SETA")),
        *((code, "V", 0) for code in ("busvoltage", "dc_bus_v", "orp_value", "vee")),
        *((code, "kWh", 2) for code in ("Cpower", "charge_capacity", "energy_generate_total")),
        ("voltage_current", "%", 0),
        ("temp_current", "Hz", 0),
        ("temp_value", "", 0),  # how warm a lamp's white is
    ],
)
def test_datapoints_that_measure_nothing_stay_raw(code: str, unit: str, scale: int) -> None:
    found = read(*integers((code, unit, scale, 275)))
    assert found.values == {}
    assert found.diagnostics == {code: 275}


def test_an_apparent_power_below_the_active_one_is_something_else() -> None:
    points = integers(("cur_power", "W", 1, 21_195), ("power_apparent", "W", 1, 13_124))
    found = read(*points)
    assert found.values == {"active_power": 2119.5}
    assert "1312.4 VA is less than the active power" in found.warnings[0]
    points = integers(("cur_power", "W", 1, 11_195), ("power_apparent", "W", 1, 13_124))
    assert read(*points).values == {"active_power": 1119.5, "apparent_power": 1312.4}


@pytest.mark.parametrize(
    ("code", "unit", "scale", "highest", "key"),
    [
        ("factor", "", 3, 9999, "power_factor"),
        ("factor", "", 2, 100, "power_factor"),
        ("factor", "", 0, 9999, None),
        ("cos_b", "", 3, 99_999_999, "power_factor_b"),
        ("cos_abc", "", 3, 99_999_999, "power_factor"),
        ("e", "KWH", 3, 999_999_999, "energy_import"),
        ("e", "KWH", 3, 99_999, None),
        ("e", "", 3, 999_999_999, None),
        # How full a battery is.
        ("battery_power", "", 0, 100, None),
        ("battery_power", "W", 0, 5000, "active_power_battery"),
        ("activeenergy_p", "kW·h", 2, 999_999_999, "energy_import"),
        # What the clamps of a dual meter share.
        ("f_ac_v", "V", 1, 99_999_999, "voltage"),
        ("f_ac_line_freq", "Hz", 2, 99_999_999, "frequency"),
        ("temp_f", "℃", 0, 200, None),
    ],
)
def test_units_and_bounds_decide_about_short_words(
    code: str, unit: str, scale: int, highest: int, key: str | None
) -> None:
    described = Specified("1", code, "value", unit, scale, 0, highest)
    assert infer((described,), {}).datapoints["1"].key == key


def test_the_speed_of_a_motor_makes_no_meter() -> None:
    points = integers(("supply_frequency", "Hz", 0, 50), ("temp_current", "℃", 0, 21))
    mapping, answer = points
    trial = try_capture({"mapping": mapping, "dps": answer})
    assert trial.values == {}
    assert "this is not a meter" in trial.warnings[0]


@pytest.mark.parametrize(("code", "unit"), [("power", "W"), ("energy_value", "kW·h")])
def test_a_value_that_users_set_is_no_measurement(code: str, unit: str) -> None:
    values = {"unit": unit, "scale": 0, "min": 10, "max": 3600}
    point = {"code": code, "type": "Integer", "values": values}
    assert read({"101": point}, {"101": 1200}).values == {}


@pytest.mark.parametrize("raw", [2360, 2360.0, "2360", " 2360 ", "2360.0"])
def test_whole_numbers_are_read_in_several_forms(raw: object) -> None:
    assert read(*integers(("cur_voltage", "V", 1, raw))).values == {"voltage": 236}


@pytest.mark.parametrize(
    "codes",
    [("power_factor", "b_power_factor", "power_a", "power_b"),
     ("power_factor", "power_factor_b", "power_a", "power_b", "power_c")],
)  # fmt: skip
def test_a_bare_power_factor_beside_others_stays_the_device_s(codes: tuple[str, ...]) -> None:
    units = {"power_factor": ("", 2), "b_power_factor": ("", 2), "power_factor_b": ("", 2)}
    points = ((code, *units.get(code, ("W", 1)), 90) for code in codes)
    assert read(*integers(*points)).values["power_factor"] == 0.9


@pytest.mark.parametrize(
    "raw",
    ["CSIAFfQABKE=", "09220015F40004A1", '{"voltage":233.8,"electricCurrent":5.62,"power":1.185}'],
)
def test_a_phase_may_be_called_text(raw: str) -> None:
    found = read(*integers(phase_a=("String", raw)))
    assert found.values == {"voltage_a": 233.8, "current_a": 5.62, "active_power_a": 1185}


def test_a_power_factor_beside_a_frame() -> None:
    frame = {"phase_a": ("Raw", "COwABY8AARA=")}
    found = read(*integers(("leakage_current", "mA", 0, 84), **frame), category="dlq")
    assert found.values["power_factor"] == 0.84


def test_a_power_factor_where_others_send_their_leakage() -> None:
    points = integers(
        ("leakage_current", "mA", 0, 69),
        ("cur_voltage", "V", 1, 2288),
        ("cur_current", "A", 3, 639),
        ("cur_power", "kW", 3, 101),
    )
    found = read(*points, category="dlq")
    assert found.values["power_factor"] == 0.69
    assert "leakage_current" not in found.values


known = (
    "cur_voltage", "cur_current", "cur_power", "phase_a", "pv1_dc_data", "power_total", "add_ele",
    "direction_a", "forward_energy_total", "power_factor", "supply_frequency", "temp_current",
    "leakage_current",
)  # fmt: skip
codes = st.sampled_from(known) | st.text(max_size=12)
