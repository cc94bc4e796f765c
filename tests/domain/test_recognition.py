"""Recognition by the answer alone: layouts vote, physics decides, the rest stays raw."""

import base64
from typing import Any

import pytest

from esquirell.domain.decoding import decode
from esquirell.domain.evidence import weigh
from esquirell.domain.inference import Specified, infer
from esquirell.domain.inference.specification import Fit, fit
from esquirell.domain.recognition import Recognised, candidates, recognise
from esquirell.profiles.capture import try_capture
from esquirell.profiles.layouts import Published

NUMBER = Specified("20", "cur_voltage", "value", "V", 1, 0, 5000)
PLUG = (
    Specified("1", "switch_1", "bool"),
    Specified("17", "add_ele", "value", "kwh", 3, 0, 50_000),
    Specified("18", "cur_current", "value", "mA", 0, 0, 30_000),
    Specified("19", "cur_power", "value", "W", 1, 0, 50_000),
    NUMBER,
)
# As PLUG, but whole watts, and a thermometer where others have nothing.
OTHER = (
    *PLUG[:3],
    Specified("19", "cur_power", "value", "W", 0, 0, 5000),
    NUMBER,
    Specified("47", "temp_current", "value", "℃", 0, -40, 200),
)
ANSWER = {"1": True, "17": 3, "18": 235, "19": 251, "20": 2391}


def recognised(answer: dict[str, Any], *layouts: tuple[tuple[Specified, ...], int]) -> Recognised:
    return recognise(list(candidates(layouts, answer)), answer)


def frame(volts: int, milliamperes: int, watts: int) -> str:
    parts = (volts.to_bytes(2), milliamperes.to_bytes(3), watts.to_bytes(3))
    return base64.b64encode(b"".join(parts)).decode()


@pytest.mark.parametrize(
    "dps",
    [
        # Numbers where plugs have theirs, without a grid's voltage.
        {"20": 100, "21": 40, "22": 18, "23": 0},
        {"1": True, "18": 40, "19": 18, "20": 230},
        {"1": True, "9": 0, "18": 0, "19": 0, "20": 0},
        # A presence sensor, a lamp, a thermostat, a valve.
        {"1": "none", "2": 7, "3": 75, "4": 600, "9": 120, "101": "normal", "102": 0},
        {"20": True, "21": "white", "22": 1000, "23": 158, "24": "000003e803e8", "26": 0},
        {"1": False, "2": "white", "3": 255, "4": 158, "5": "", "7": "", "10": ""},
        {"1": True, "2": 215, "3": 198, "4": "manual", "6": False, "40": False},
        {"1": True, "2": 0, "4": 215, "5": 0, "6": 230},
        # Settings: round numbers, however much they look like a voltage.
        {"101": 10_000, "102": 488, "103": 56},
        {"101": 2300, "102": 0, "103": 0},
        # Texts that are no frames of a phase.
        {"6": "AAAAAAAAAAA=", "16": True},
        {"6": "/////////w==", "7": "AQIDBAUGBwg="},
        # A solar charger's layout explains its frames, too; a meter's only the three numbers.
        {"101": 4210, "102": 312, "103": 1234, "104": "AAEAAgAD", "105": "AAQABQAG"},
        {},
        {"1": None},
    ],
)
def test_unproven_values_are_not_published(dps: dict[str, Any]) -> None:
    trial = try_capture({"dps": dps})
    assert trial.values == {}
    assert "unknown" in trial.warnings[0]


def test_what_only_meters_answer_needs_no_load_to_be_recognised() -> None:
    """Hundreds of metering plugs have these six, and no device that is no meter."""
    idle = {"1": False, "9": 0, "17": 4, "18": 0, "19": 0, "20": 0}
    assert try_capture({"dps": idle}).values == {"current": 0, "active_power": 0, "voltage": 0}
    # A strip has more switches, as other strips have.
    strip = {"2": True, "3": False, "7": False, "10": 0, "11": 0, "15": 0} | idle
    assert try_capture({"dps": strip}).values == {"current": 0, "active_power": 0, "voltage": 0}
    # Not so where one of them is something else, or there are fewer.
    assert try_capture({"dps": {**idle, "9": "on"}}).values == {}
    assert try_capture({"dps": {**idle, "20": "0"}}).values == {}
    del idle["17"]
    assert try_capture({"dps": idle}).values == {}


THREE_PHASES = (
    Specified("1", "forward_energy_total", "value", "kW·h", 2, 0, 99_999_999),
    *(
        Specified(str(dp + 3 * at), f"{code}_{phase}", "value", unit, scale, 0, 99_999)
        for at, phase in enumerate("abc")
        for dp, code, unit, scale in (
            (102, "cur_voltage", "V", 1), (103, "cur_current", "mA", 0), (104, "cur_power", "W", 0)
        )
    ),
)  # fmt: skip


def test_a_device_of_one_phase_is_no_third_of_its_sibling_with_three() -> None:
    answer = {"1": 5, "102": 2288, "103": 639, "104": 101}
    found = recognised(answer, (THREE_PHASES, 3))
    assert found.profile.keys == ("energy_import", "voltage", "current", "active_power")
    assert found.open >= {"102", "103", "104"}
    # ... and neither is one that says of itself what it says of phase a.
    both = (*THREE_PHASES, Specified("120", "cur_power", "value", "W", 0, 0, 99_999))
    assert "voltage_a" in recognised(answer | {"120": 102}, (both, 3)).profile.keys
    # Another phase shows that these are of phase a after all.
    more = {"105": 2291, "106": 20, "107": 3}
    found = recognised(answer | more, (THREE_PHASES, 3))
    assert {"voltage_a", "voltage_b", "active_power_a"} <= set(found.profile.keys)
    # A part of an answer that says nothing of the whole device may be phase a of three.
    del answer["1"]
    assert "voltage_a" in recognised(answer, (THREE_PHASES, 3)).profile.keys


@pytest.mark.parametrize(
    ("others", "watts"),
    [
        # Nobody known counts so: the total stays raw, its phases do not.
        ((), None),
        # One product does, and its phases say that this is one of these.
        ((2,), 3250),
    ],
)
@pytest.mark.parametrize("raw", [325, 318])
def test_a_total_is_in_the_scale_of_its_phases(
    others: tuple[int, ...], watts: float | None, raw: int
) -> None:
    phases = {
        "6": frame(2307, 7425, 1529),
        "7": frame(2277, 1589, 282),
        "8": frame(2261, 7529, 1440),
    }
    frames = [
        Specified(str(dp), f"phase_{x}", "raw") for dp, x in zip((6, 7, 8), "abc", strict=True)
    ]

    def layout(scale: int) -> tuple[Specified, ...]:
        return (*frames, Specified("9", "power_total", "value", "kW", scale, 0, 900_000))

    known = [(layout(3), 30), *((layout(scale), 1) for scale in others)]
    agreed = recognised({**phases, "9": raw}, *known).profile
    values = decode({**phases, "9": raw}, agreed).values
    assert values["active_power_a"] == 1529
    assert values.get("active_power") == (watts and raw * 10)


@pytest.mark.parametrize(
    ("dps", "values"),
    [
        (ANSWER, {"voltage": 239.1, "current": 0.235, "active_power": 25.1}),
        (
            {"4": 235, "5": 251, "6": 2391, "1": True},
            {"voltage": 239.1, "current": 0.235, "active_power": 25.1},
        ),
        # The same three with voltage and power exchanged: only one way is physics.
        (
            {"4": 2350, "5": 2391, "6": 4510, "1": True},
            {"voltage": 239.1, "current": 2.35, "active_power": 451.0},
        ),
        (
            {"6": frame(2301, 5000, 1100), "16": True, "1": 4711},
            {"voltage_a": 230.1, "current_a": 5.0, "active_power_a": 1100, "energy_import": 47.11},
        ),
    ],
)
def test_products_are_recognised_by_physics(dps: dict[str, Any], values: dict[str, float]) -> None:
    assert try_capture({"dps": dps}).values == pytest.approx(values)


def test_a_frame_of_a_load_is_a_phase_whatever_most_products_send_there() -> None:
    """A breaker of three phases beside others that have settings in these datapoints."""
    phases = {"6": frame(2296, 4412, 991), "7": frame(2311, 1200, 260), "8": frame(2304, 2010, 455)}
    settings = {"15": 0, "16": True, "17": "BwEAUA==", "18": "AQEAPwMBARMEAQCv", "103": 29}
    found = try_capture({"dps": {"1": 98_712, "9": 0, **phases, **settings}}).values
    assert [found[f"active_power_{one}"] for one in "abc"] == [991, 260, 455]


def test_thresholds_are_no_counters_where_hardly_anybody_takes_them_for_such() -> None:
    """114 to 116 are the currents and voltages at which it trips; dual clamps count there."""
    settings = {"102": 0, "103": 1, "105": 30, "110": 0, "118": 30, "119": 13_000, "131": 312}
    trips = {"114": 63, "115": 270, "116": 165}
    answer = {"1": 1200, "6": frame(2291, 1510, 322), "15": 3, "16": True, **trips, **settings}
    found = try_capture({"dps": answer}).values
    assert {"energy_import_a", "energy_export_a", "energy_import_b"}.isdisjoint(found)


def test_a_meter_without_a_switch_is_no_dds238() -> None:
    """PJ-MGW1203 counts thousandths where DDS238-2 counts hundredths of a kilowatt-hour."""
    found = try_capture({"dps": {"18": 1234, "19": 2710, "20": 2291, "101": 45_210}})
    assert found.values == {"current": 1.234, "active_power": 271.0, "voltage": 229.1}


def test_the_direction_that_an_answer_lacks_is_no_import() -> None:
    """A dual clamp exports on channel a; only its total has a sign, or nothing tells."""
    answer = {"101": 12_181, "105": 0, "110": 91, "111": 4909, "112": 2372, "113": 5608, "114": 0}
    assert try_capture({"dps": answer | {"115": -12_181}}).values["active_power_a"] == -1218.1
    assert "active_power_a" not in try_capture({"dps": answer}).values


def test_an_unknown_product_with_the_datapoints_of_an_inverter_is_no_inverter() -> None:
    """SG600MD: 102 to 105 are currents and voltages, not the powers of a WVC."""
    dps = {"2": 976, "10": 205, "101": True, "102": 87, "103": 280, "104": 2278, "105": 9}
    trial = try_capture({"dps": dps})
    assert trial.values["active_power"] == 20.5
    assert {"active_power_pv", "active_power_ac"}.isdisjoint(trial.values)


def test_layouts_that_agree_on_a_value_are_taken_and_others_left_open() -> None:
    found = recognised(ANSWER | {"19": 0, "18": 0}, (PLUG, 5), (OTHER, 5))
    assert found.profile.keys == ("current", "active_power", "voltage")
    # Zero watts are zero in either scale, as is any zero; the next answer tells which.
    assert found.open == {"18", "19"}


def test_physics_outvotes_the_number_of_products() -> None:
    found = recognised(ANSWER, (PLUG, 1), (OTHER, 500))
    assert found.profile.datapoints["19"].divisor == 10
    found = recognised({**ANSWER, "18": 2350, "19": 451}, (PLUG, 1), (OTHER, 500))
    assert found.profile.datapoints["19"].divisor == 1


def test_the_profile_that_explains_more_wins() -> None:
    answer = ANSWER | {"47": 31}
    alike = (*PLUG[:3], PLUG[3], NUMBER)
    warm = (*alike, Specified("47", "temp_current", "value", "℃", 0, -40, 200))
    cold = (*alike, Specified("47", "child_lock", "bool"))
    found = recognised(answer, (alike, 100), (warm, 2), (cold, 100))
    assert found.profile.datapoints["47"].key == "temperature"


def test_a_datapoint_that_two_say_otherwise_is_left_out() -> None:
    answer = ANSWER | {"47": 31}
    warm = (*PLUG, Specified("47", "temp_current", "value", "℃", 0, -40, 200))
    warmer = (*PLUG, Specified("47", "temp_current", "value", "℃", 1, -400, 2000))
    found = recognised(answer, (warm, 3), (warmer, 2))
    assert "47" not in found.profile.datapoints
    assert found.open == {"47"}


@pytest.mark.parametrize(
    ("spec", "raw", "fits"),
    [
        (NUMBER, 2391, Fit.FULL),
        (NUMBER, 2391.0, Fit.FULL),
        (NUMBER, 6_000, Fit.FULL),
        (NUMBER, 7_000, Fit.KIND),
        (NUMBER, -5, Fit.KIND),
        (NUMBER, 600_000, Fit.NO),
        (NUMBER, "2391", Fit.NO),
        (NUMBER, True, Fit.NO),
        (NUMBER, None, Fit.FULL),
        (Specified("1", "switch", "bool"), True, Fit.FULL),
        (Specified("1", "switch", "bool"), 1, Fit.NO),
        (Specified("3", "mode", "enum", choices=("a", "b")), "a", Fit.FULL),
        (Specified("3", "mode", "enum", choices=("a", "b")), "c", Fit.KIND),
        (Specified("3", "mode", "enum", choices=("a", "b")), 1, Fit.NO),
        (Specified("6", "phase_a", "raw"), "CRwABN0AAOc=", Fit.FULL),
        (Specified("6", "phase_a", "raw"), 5, Fit.NO),
        (Specified("9", "fault", "bitmap"), 8, Fit.FULL),
        (Specified("9", "fault", "bitmap"), -1, Fit.NO),
        (Specified("9", "new_kind", "struct"), 1, Fit.KIND),
    ],
)
def test_a_raw_value_fits_what_is_described(spec: Specified, raw: object, fits: Fit) -> None:
    assert fit(spec, raw) == fits


@pytest.mark.parametrize(
    ("values", "strength"),
    [
        ({"voltage": 231.7, "current": 2.0, "active_power": 400}, 3),
        ({"voltage": 231.7, "current": 2.0, "active_power": 400, "power_factor": 0.86}, 5),
        ({"voltage": 230, "current": 2.0, "active_power": 400}, 2),
        ({"voltage": 231.7, "current": 0.0, "active_power": 0}, 2),
        ({"voltage": 230, "current": 0.0, "active_power": 0}, 1),
        ({"voltage": 231.7, "current": 2.0, "active_power": 4}, 0),
        ({"voltage": 160, "current": 2.0, "active_power": 250}, 0),
        # At a grid's edge, also that of Japan, where random numbers looked like an idle plug.
        ({"voltage": 184.2, "current": 5.5, "active_power": 864}, 1),
        ({"voltage": 190, "current": 0.0, "active_power": 0}, 0),
        ({"voltage": 101.2, "current": 2.0, "active_power": 190}, 1),
        ({"voltage": 12.6, "current": 2.0, "active_power": 25}, 0),
        ({"voltage_a": 231.7, "voltage_b": 229.1, "voltage_c": 233.4}, 3),
        ({"voltage_a": 231.7, "voltage_b": 129.1, "voltage_c": 233.4}, 0),
        ({"voltage_pv1": 36.0, "current_pv1": 3.0, "active_power_pv1": 108}, 2),
        ({"energy_import": 47.7, "energy_import_a": 20, "energy_import_b": 27.7}, 3),
        ({"energy_import": 57.7, "energy_import_a": 20, "energy_import_b": 27.7}, 0),
        ({"energy_import": 0, "energy_import_a": 0, "energy_import_b": 0}, 0),
        ({"frequency": 49.98}, 2),
        ({"frequency": 60.02}, 2),
        ({"frequency": 49.27}, 2),
        ({"frequency": 50.9}, 0),  # or a waiting time of 509 s
        # A current of 5.52 A reads like this, and what grids have for seconds only.
        ({"frequency": 55.2}, 0),
        # More than V x I, and a factor and a load that are next to nothing.
        ({"voltage": 115.7, "current": 0.462, "active_power": 64.2}, 1),
        ({"voltage": 236.8, "current": 0.6, "active_power": 3, "power_factor": 0.05}, 0),
        # A small load with a poor power factor, and more than any load takes.
        ({"voltage": 232.1, "current": 0.228, "active_power": 6.1}, 1),
        ({"voltage": 231.3, "current": 0.2, "active_power": 4000}, 0),
        ({"active_power": 323, "reactive_power": 191, "power_factor": 0.86}, 4),
        ({"active_power": 323, "reactive_power": 191, "power_factor": 0.66}, 0),
        ({"frequency": 50}, 0),
        ({"temperature": 21.5, "state_of_charge": 80}, 0),
        ({"voltage_ac": 227.8, "current_output": 0.09, "active_power": 20.5}, 3),
    ],
)
def test_what_values_prove(values: dict[str, float], strength: int) -> None:
    assert weigh(values).strength == strength


@pytest.mark.parametrize(
    "values",
    [
        {"voltage": 23.9},
        {"frequency": 5.0},
        {"voltage": 230, "current": 0.1, "active_power": 500},
        {"voltage": 0, "current": 0.1, "active_power": 500},
        {"voltage": 230, "current": 0.1, "reactive_power": 500},
        {"leakage_current": 0.69},
        # A waiting time of 16 s is no power factor.
        {"active_power_a": 750, "power_factor": 0.016},
        {f"{name}_{phase}": value for phase in "abc" for name, value in
         (("voltage", 231.0), ("current", 1.0))} | {"active_power": 5000},
    ],
)  # fmt: skip
def test_what_values_refuse(values: dict[str, float]) -> None:
    assert weigh(values).refusals
    assert weigh({"voltage_pv1": 23.9, "voltage_battery": 51.2}).refusals == ()


@pytest.mark.parametrize("seconds", range(450, 501))
@pytest.mark.parametrize("milliamperes", [0, 5217])
def test_a_waiting_time_is_no_frequency(seconds: int, milliamperes: int) -> None:
    """TOMPD's 63WIFI has one in DP 105, where the 63LW has tenths of a hertz."""
    phase = frame(2300, milliamperes, milliamperes * 144 // 1000)
    known = {"1": 12345, "6": phase, "9": 0, "11": False, "13": 0, "15": 0, "16": True}
    values = try_capture({"dps": known | {"19": "1234", "104": 16, "105": seconds}}).values
    assert values["voltage_a"] == 230
    assert not {"frequency", "power_factor"} & values.keys()


def test_a_current_beside_a_power_of_another_scale_is_left_out() -> None:
    dps = {"101": 2412, "102": 946, "103": 155486, "104": 20, "105": 36, "106": 437, "109": 762}
    values = try_capture({"dps": dps}).values
    assert not any(key.startswith(("current", "energy")) for key in values)


def test_an_increment_of_megawatt_hours_is_a_counter() -> None:
    plug = {"1": True, "18": 4357, "19": 7049, "20": 2129}
    assert try_capture({"dps": plug | {"17": 7763950}}).values["energy_import"] == 7763.95
    assert "energy_import" not in try_capture({"dps": plug | {"17": 49_000}}).values


def test_a_total_that_is_ten_times_its_only_phase_counts_tenths() -> None:
    """A charger of which the shipped profile says W; its frame says 235.2 V, 8.313 A, 1590 W."""
    charger = {"1": 193_059, "3": "charger_charging", "4": 6, "9": 15_901, "10": 0, "18": True}
    dps = {**charger, "6": "CTAAIHkABjY=", "14": "charge_schedule", "24": 25, "25": 1}
    assert try_capture({"dps": dps}).values["active_power"] == 1590.1


def test_of_two_powers_the_one_that_the_phases_add_up_to_is_the_total() -> None:
    """Three phases, 529 + 333 + 839 W, and a charger's `sigle_phase_power` of 1 W."""
    charger = {"1": 50_481, "3": "charger_pause", "4": 6, "5": 1, "9": 1702, "10": 0, "18": False}
    frames = {"6": "CRsAC6QAAhE=", "7": "CUkABw4AAU0=", "8": "CNgAEOkAA0c="}
    rest = {"14": "charge_schedule", "23": "", "24": 44, "25": 1, "28": 0}
    assert try_capture({"dps": {**charger, **frames, **rest}}).values["active_power"] == 1702
    # One phase with a load, of which both say the same; and three without.
    dps = {**charger, "5": 1590, "9": 1590, "6": frame(2300, 7000, 1590), **rest}
    assert try_capture({"dps": dps}).values["active_power"] == 1590
    idle = {dp: frame(volts, 0, 0) for dp, volts in (("6", 2300), ("7", 2310), ("8", 2290))}
    dps = {**charger, "5": 0, "9": 0, **idle, **rest}
    assert try_capture({"dps": dps}).values["active_power"] == 0


def test_a_counter_is_left_out_in_a_scale_that_one_look_alike_alone_has() -> None:
    """An inverter of two panels; a single other product counts thousandths in DP 2."""
    panels = {"3": "CPgAQACE", "4": "CScADAAV", "5": "CPgAGNcABSc=", "7": "CQEAG6MABa8="}
    rest = {"9": 0, "10": "grid_power", "11": "", "12": "", "16": 254, "17": 221}
    values = try_capture({"dps": {"2": 226_641, **panels, "8": 2988, **rest}}).values
    assert values["active_power"] == 2988
    assert not any(key.startswith("energy") for key in values)


def test_a_counter_of_zero_is_no_proof_on_a_boiler() -> None:
    boiler = {"1": True, "2": "jiheat", "9": 60, "10": 57, "12": 0, "13": "heating", "14": 85}
    assert try_capture({"dps": boiler | {"20": 0}}).values == {}


def test_every_published_layout_can_be_read_and_measures() -> None:
    published = Published()
    known: set[str] = set()
    for layout in published.every():
        counts = any(point.code.startswith("add_ele") for point in layout.points)
        assert counts or infer(layout.points, {}).measures_electricity
        assert len({point.name for point in layout.points}) == len(layout.points)
        known |= set(layout.products)
    assert len(known) > 1000
    assert "iobroker.tuya" in published.source()


def test_a_product_is_recognised_by_its_published_layout() -> None:
    published = Published()
    points = published.of_product("2iepauebcvo74ujc")
    assert {point.name: point.code for point in points}["20"] == "cur_voltage"
    assert published.of_product("nosuchproduct") == published.of_product("") == ()
    assert Published(["2iepauebcvo74ujc"]).of_product("2iepauebcvo74ujc") == ()


def test_a_power_that_cannot_be_costs_a_known_product_only_the_power() -> None:
    dps = {"1": True, "9": 0, "17": 82, "18": 435, "19": 16_420, "20": 2246}
    trial = try_capture({"product_id": "2iepauebcvo74ujc", "dps": dps})
    assert trial.values == {"voltage": 224.6, "current": 0.435}


def test_a_product_that_answers_otherwise_than_published_is_not_taken_for_it() -> None:
    """The same product id with another firmware: a plug's id, a breaker's answer."""
    dps = {"6": frame(2301, 5000, 1100), "16": True, "1": 4711}
    trial = try_capture({"product_id": "raceucn29wk2yawe", "dps": dps})
    assert trial.values["voltage_a"] == 230.1


SWITCHES = tuple(Specified(str(dp), f"switch_{dp}", "bool") for dp in range(1, 6))
MODES = tuple(Specified(str(dp), f"mode_{dp}", "enum", choices=("a", "b")) for dp in (6, 7, 8))


@pytest.mark.parametrize(
    ("points", "odd", "proof"),
    [
        ((*SWITCHES, *MODES[:2]), {}, 1),
        ((*SWITCHES[1:], *MODES[:2]), {}, 0),
        ((*SWITCHES, MODES[0], Specified("8", "switch_8", "bool")), {}, 0),
        # Another choice says little, a number out of its bounds that this is something else.
        ((*SWITCHES, *MODES), {"8": "c"}, 0),
        ((*SWITCHES, *MODES[:2], NUMBER), {"20": 9999}, -1),
    ],
)
def test_seven_datapoints_with_two_choices_among_them_are_a_shape(
    points: tuple[Specified, ...], odd: dict[str, Any], proof: int
) -> None:
    usual = {"bool": True, "enum": "a", "value": 2300}
    answer = {point.name: usual[point.kind] for point in points} | odd
    found = [one for one in candidates([(points, 1)], answer) if one.name == "layout"]
    assert [(one.shape > 0) - (one.shape < 0) for one in found] == [proof]


def test_a_second_switch_is_no_countdown() -> None:
    """Of a plug with one number between two zeros all else has to be as described."""
    assert not try_capture({"dps": {"1": True, "2": False, "4": 0, "5": 1106, "6": 0}}).values
    plug = try_capture({"dps": {"1": True, "2": 0, "4": 0, "5": 0, "6": 2403}})
    assert plug.values == {"voltage": 240.3, "current": 0, "active_power": 0}


def test_a_small_load_may_have_a_poor_power_factor() -> None:
    """A standby supply: 6.1 W of 53 VA are no 6.1 W of 5.3."""
    trial = try_capture({"dps": {"1": True, "9": 0, "17": 3, "18": 228, "19": 61, "20": 2321}})
    assert trial.values == {"current": 0.228, "active_power": 6.1, "voltage": 232.1}


def test_a_maker_who_calls_the_power_of_a_channel_apparent_is_not_believed() -> None:
    """Product jbarpbsikxovmxeg: `power_apparent` and `power_current` are the channels' powers."""
    answer = {"19": 4990, "20": 2270, "101": 12_555, "102": 244, "103": 27_043, "104": 499}
    for known in ({}, {"product_id": "jbarpbsikxovmxeg"}):
        values = try_capture({**known, "dps": {**answer, "105": 4999, "120": 95}}).values
        assert (values["active_power_a"], values["active_power_b"]) == (2704.3, 49.9)
        assert "apparent_power" not in values


@pytest.mark.parametrize("rest", [{}, {"26": 0}, {"38": "memory", "41": "", "42": ""}])
@pytest.mark.parametrize("added", [5, 500, 50_000])
def test_an_increment_is_no_counter_beside_a_second_switch(
    added: int, rest: dict[str, Any]
) -> None:
    """A profile of one product, whose DP 17 is a counter, is for that product alone."""
    answer = {"1": True, "9": False, "17": added, "18": 500, "19": 1100, "20": 2310, **rest}
    trial = try_capture({"dps": answer})
    assert trial.values == {"current": 0.5, "active_power": 110.0, "voltage": 231.0}
    counted = try_capture({"product_id": "a6djabzmpbbp62gw", "dps": answer}).values
    assert counted["energy_import"] == added / 1000
