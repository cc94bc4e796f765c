"""What users of other programs report about their meters, and what is published here.

The cases are public issues of tuya-local, localtuya, tinytuya, zigbee2mqtt and Home Assistant; the
answers are theirs, or like theirs.
"""

import json
from typing import Any

import pytest
from support.fakes import meter

from esquirell.domain.decoding import Decoded
from esquirell.profiles import Choices
from esquirell.profiles.capture import try_capture

PLUG = {"1": True, "9": 0, "17": 3, "18": 235, "19": 251, "20": 2391, "38": "memory"}
PLUG_VALUES = {"current": 0.235, "active_power": 25.1, "voltage": 239.1}
PHASE = {"voltage": 230.1, "electricCurrent": 5.0, "power": 1.1}
DUAL = {
    "101": 12_181, "102": "REVERSE", "105": 0, "106": 0, "107": 610, "108": 0, "109": 0, "110": 91,
    "111": 4909, "112": 2372, "113": 5608, "114": 0, "115": -12_181, "130": 0, "131": 610,
}  # fmt: skip


def in_turn(*answers: dict[str, Any]) -> list[Decoded]:
    """Decode answers of a meter of which nothing else is known, one after the other."""
    choices, one = Choices(), meter(profile="auto")
    return [choices.decode(one, answer) for answer in answers]


def test_readings_that_jump_to_ten_times_and_back_are_left_out() -> None:
    """tuya/tuya-home-assistant #102: a plug sends 2391 V and ten times its power for a while."""
    before, jump, after = in_turn(PLUG, {**PLUG, "20": 23_910, "19": 2510}, PLUG)
    assert before.values == after.values == PLUG_VALUES
    assert jump.values == {"current": 0.235}
    assert any(warning.startswith("active_power:") for warning in jump.warnings)
    assert jump.diagnostics["cur_power"] == 2510


def test_a_report_of_one_datapoint_says_nothing_of_the_others() -> None:
    """tinytuya #496: reports hold 18 and 19, or a schedule alone, and were taken for 0 W."""
    reports = in_turn(PLUG, {"49": "AQAAAAMAAAAEAAAA"}, {"18": 239, "19": 130}, {"20": 2466})
    assert [report.values for report in reports[1:]] == [
        {}, {"current": 0.239, "active_power": 13.0}, {"voltage": 246.6}
    ]  # fmt: skip


def test_phases_that_arrive_after_the_answer_are_taken() -> None:
    """tuya-local #1543: of a three-phase breaker phases b and c were missing for ever."""
    _, first, others = in_turn(
        {"1": 4711, "9": 0, "11": False, "13": 0, "16": True},
        {"6": "CREANUkADG8="},
        {"7": "CTIAVfcAFGw=", "8": "CPQAI58ACBA="},
    )
    assert first.values == {"voltage_a": 232.1, "current_a": 13.641, "active_power_a": 3183}
    assert others.values == {
        "voltage_b": 235.4, "current_b": 22.007, "active_power_b": 5228,
        "voltage_c": 229.2, "current_c": 9.119, "active_power_c": 2064,
    }  # fmt: skip


@pytest.mark.parametrize("as_text", [False, True])
def test_phases_that_are_objects_on_the_lan_are_read(as_text: bool) -> None:
    """tuya-local #5569, localtuya #862: JSON where others send base64."""
    phase = json.dumps(PHASE) if as_text else PHASE
    answer = {"1": 4711, "2": 12, "6": phase, "7": phase, "8": phase, "12": False, "16": True}
    (found,) = in_turn(answer)
    for letter in "abc":
        assert found.values[f"voltage_{letter}"] == 230.1
        assert found.values[f"active_power_{letter}"] == 1100


def test_feed_in_is_negative_power_and_counts_as_export() -> None:
    """tuya-local #4833, #4912, #3681: magnitudes beside a direction, shown as consumed."""
    (found,) = in_turn(DUAL)
    assert found.values["active_power_a"] == found.values["active_power"] == -1218.1
    assert found.values["energy_export_a"] == found.values["energy_export"] == 6.1


@pytest.mark.parametrize(
    ("said", "watts"), [("FORWARD", 1218.1), ("REVERSE", -1218.1), ("", -1218.1)]
)
def test_a_direction_that_is_missing_is_that_of_the_total(said: str, watts: float) -> None:
    """zigbee2mqtt's PJ-1203A options: the direction comes with the next update, or never."""
    (found,) = in_turn({**DUAL, "102": said, "115": 12_181 if watts > 0 else -12_181})
    assert found.values["active_power_a"] == watts


def test_the_header_of_a_frame_is_no_voltage() -> None:
    """tuya-device-sharing-sdk #76: 52.7 V on all phases of newer meters."""
    frame = "Ag8I/QDSZAAlTAAAAAAAAE0A"
    (found,) = in_turn({"1": 4711, "6": frame, "7": frame, "8": frame, "9": 0, "16": True})
    assert {found.values[f"voltage_{letter}"] for letter in "abc"} == {230.1}
    assert {found.values[f"current_{letter}"] for letter in "abc"} == {53.86}


def test_currents_above_65_amperes_keep_their_highest_byte() -> None:
    """zigbee2mqtt #32995: at 70 A a breaker showed 4.464 A."""
    (found,) = in_turn({"1": 4711, "6": "CP0BEXAAPoA=", "9": 0, "16": True})
    assert (found.values["current_a"], found.values["active_power_a"]) == (70.0, 16_000)


def test_increments_in_reports_are_no_totals() -> None:
    """tuya-local #1537, #1116, Domoticz #185: add_ele was charted as a counter that resets."""
    for report in in_turn(PLUG, {**PLUG, "17": 101}, {**PLUG, "17": 0}):
        assert not any(key.startswith("energy") for key in report.values)


def test_the_energy_of_a_day_or_an_hour_is_no_counter() -> None:
    """tuya-local #5079: counters that begin anew beside those that go on."""
    codes = ("forward_energy_a", "forward_energy_a_total", "forward_energy_a_hour")
    values = {"unit": "KWH", "min": 0, "max": 99_999_999, "scale": 2}
    mapping = {
        str(dp): {"code": code, "type": "Integer", "values": values}
        for dp, code in enumerate(codes, 107)
    }
    found = try_capture({"mapping": mapping, "dps": {"107": 62, "108": 412_345, "109": 3}})
    assert found.values == {"energy_import_a": 4123.45}


def test_a_lowest_value_of_nines_is_no_power() -> None:
    """home-assistant/core, zndb_iow5ux77dxy3yrpj: a total of -99,999 kW beside live phases."""
    values = {"unit": "kW", "min": -99_999_999, "max": 99_999_999, "scale": 3}
    mapping = {"9": {"code": "power_total", "type": "Integer", "values": values}}
    found = try_capture({"mapping": mapping, "dps": {"9": -99_999_999}})
    assert found.values == {}


def test_limits_of_a_breaker_are_no_measurements() -> None:
    """tuya-local #1935: thresholds of 280 V and 165 V are numbers beside the measurements."""
    dps = {"102": 30, "103": 280, "104": 165, "105": 30, "110": 800, "111": "Trip", "123": True}
    (found,) = in_turn({"1": 297_736, "15": 8, "16": True, **dps})
    assert not {280, 28, 165, 30} & set(found.values.values())


def test_the_milliwatts_of_a_micro_inverter_are_no_kilowatts() -> None:
    """tuya-local #1932, home-assistant/core znnbq_0kllybtbzftaee7y: 91.41 kW of one panel."""
    values = {"unit": "kW", "min": 0, "max": 900_000, "scale": 3}
    mapping = {"10": {"code": "power_total", "type": "Integer", "values": values}}
    found = try_capture({"category": "znnbq", "mapping": mapping, "dps": {"10": 91_410}})
    assert found.values == {"active_power": 91.41}


def test_a_meter_without_mains_is_no_reason_to_guess() -> None:
    """tuya-local #2420: a breaker whose mains are off answers zeros beside its temperatures."""
    dps = {"127": 0, "128": 0, "129": 0, "130": 0, "131": 0, "132": 0, "133": 230, "134": 230}
    (found,) = in_turn({"15": 0, "16": True, **dps})
    assert all(not value for key, value in found.values.items() if "temperature" not in key)
