import json
from pathlib import Path
from typing import Any

import pytest
from support.fakes import meter

from esquirell.domain.device import Device
from esquirell.domain.errors import ConfigError
from esquirell.domain.meter import Meter
from esquirell.profiles import Choices
from esquirell.profiles.capture import try_capture
from esquirell.profiles.choice_changes import Change
from esquirell.profiles.library import shipped
from esquirell.profiles.memory import Files, Remembered

OLD_PLUG = {
    "4": {"code": "cur_current", "type": "Integer", "values": {"unit": "mA", "scale": 0}},
    "5": {"code": "cur_power", "type": "Integer", "values": {"unit": "W", "scale": 0}},
    "6": {
        "code": "cur_voltage",
        "type": "Integer",
        "values": {"unit": "V", "scale": 0, "max": 2500},
    },
}
PC321 = {"101": 2351, "103": 192, "107": 9, "113": 27, "123": 65, "133": 285, "139": 318819}


def devices_json(folder: Path, mapping: object, **also: object) -> Path:
    file = folder / "devices.json"
    file.write_text(json.dumps([{"id": "id-main", "mapping": mapping, **also}, {"id": "other"}]))
    return file


def own_profile(folder: Path, text: str) -> Path:
    (folder / "mine.toml").write_text(f'title = "Mine"\n{text}\n')
    return folder


def test_a_mapping_file_describes_the_meter(tmp_path: Path) -> None:
    one = meter(profile="auto", mapping_file=devices_json(tmp_path, OLD_PLUG, category="cz"))
    choices = Choices()
    assert choices.of(one).keys == ("current", "active_power", "voltage")
    assert choices.of(one).refresh == (4, 5, 6)
    found = choices.decode(one, {"4": 81, "5": 83, "6": 2352})
    assert found.values == {"current": 0.081, "active_power": 8.3, "voltage": 235.2}


def test_a_scale_that_was_settled_stays(tmp_path: Path) -> None:
    """Values of one answer were not measured at one moment: later ones may look otherwise."""
    one = meter(profile="auto", mapping_file=devices_json(tmp_path, OLD_PLUG))
    choices = Choices()
    choices.decode(one, {"4": 81, "5": 83, "6": 2352})
    for answer in ({"5": 90}, {"4": 5000, "5": 900, "6": 230}, {"4": 5000, "5": 900, "99": 1}):
        assert choices.decode(one, answer).values["active_power"] == answer["5"] / 10


def spm02(unit: str, watts: int, said: int) -> tuple[dict[str, Any], dict[str, int]]:
    """Return a mapping and an answer of three phases, and of what is called their leakage."""
    points = {"15": ("leakage_current", unit, 2, said)}
    for dp, phase in zip((102, 105, 108), "xyz", strict=True):
        points |= {
            str(dp): (f"cur_voltage_{phase}", "V", 1, 2350),
            str(dp + 1): (f"cur_current_{phase}", "A", 3, 3600 * bool(watts)),
            str(dp + 2): (f"cur_power_{phase}", "kW", 3, watts),
        }
    mapping = {
        dp: {"code": code, "type": "Integer", "values": {"unit": unit, "scale": scale, "max": 9999}}
        for dp, (code, unit, scale, _) in points.items()
    }
    return mapping, {dp: raw for dp, (*_, raw) in points.items()}


@pytest.mark.parametrize("unit", ["A", ""])
@pytest.mark.parametrize("first", [(380, 45), (677, 80), (0, 0), (677, 45)])
def test_a_power_factor_is_no_leakage_whatever_the_first_answer_was(
    tmp_path: Path, unit: str, first: tuple[int, int]
) -> None:
    mapping, answer = spm02(unit, *first)
    one = meter(profile="auto", mapping_file=devices_json(tmp_path, mapping))
    choices = Choices()
    assert "leakage_current" not in choices.decode(one, answer).values
    found = [choices.decode(one, spm02(unit, 677, said)[1]).values for said in (80, 80, 81, 80)]
    assert [values.get("power_factor") for values in found[-2:]] == [0.81, 0.8]
    assert all("leakage_current" not in values for values in found)


def test_an_idle_leakage_may_turn_out_to_be_the_power_factor(tmp_path: Path) -> None:
    plug = {
        "15": {"code": "leakage_current", "type": "Integer", "values": {"unit": "mA", "scale": 0}},
        "18": {"code": "cur_current", "type": "Integer", "values": {"unit": "mA", "scale": 0}},
        "19": {"code": "cur_power", "type": "Integer", "values": {"unit": "W", "scale": 1}},
        "20": {"code": "cur_voltage", "type": "Integer", "values": {"unit": "V", "scale": 1}},
    }
    one = meter(profile="auto", mapping_file=devices_json(tmp_path, plug))
    for said, key in ((90, "power_factor"), (12, "leakage_current")):
        choices = Choices()
        idle = choices.decode(one, {"15": 0, "18": 0, "19": 0, "20": 2300})
        assert (idle.values["leakage_current"], idle.warnings) == (0, ())
        load = {"15": said, "18": 5000, "19": 10_350, "20": 2300}
        assert key in choices.decode(one, load).values


def test_a_doubt_ends_with_the_first_answer_that_decides() -> None:
    one = meter(profile="auto")
    choices = Choices()
    assert choices.of(one).keys == ()
    first = choices.decode(one, {"133": 285})
    assert (first.values, first.diagnostics) == ({}, {"dp_133": 285})
    assert "unknown" in first.warnings[0]
    assert choices.decode(one, PC321).values["voltage_a"] == 235.1
    assert choices.decode(one, {"133": 285}).values == {"active_power": 285}
    assert "energy_export" in choices.of(one).keys


def test_a_family_is_not_recognised_by_a_voltage_that_no_grid_has() -> None:
    """A thermostat's 23.0 degrees under the datapoint of an old plug's voltage."""
    found = try_capture({"dps": {"1": True, "2": 0, "4": 215, "5": 0, "6": 230}})
    assert found.values == {}
    assert "unknown" in found.warnings[0]


def test_a_voltage_alone_makes_a_meter_only_where_it_is_a_grid_s() -> None:
    volts = {"code": "cur_voltage", "type": "Integer", "values": {"unit": "V", "scale": 2}}
    for raw, values in ((23_140, {"voltage": 231.4}), (9999, {}), (366, {})):
        assert try_capture({"mapping": {"26": volts}, "dps": {"26": raw}}).values == values


def test_implausible_values_are_reported() -> None:
    phases = {"VoltageA": 2300, "VoltageB": 2301, "VoltageC": 2302, "Frequency": 5000}
    phases |= {"ActivePowerA": 500, "ActivePowerB": 300, "ActivePowerC": 200, "ActivePower": 100}
    units = {"V": ("V", 1), "F": ("Hz", 2), "A": ("kW", 3)}
    spec = {
        code: {"type": "Integer", "values": {"unit": units[code[0]][0], "scale": units[code[0]][1]}}
        for code in phases
    }
    found = try_capture({"spec": spec, "status": phases})
    assert found.values["active_power"] == 100
    assert found.warnings == ("active_power is about 10 times too low for its phases",)
    assert try_capture({"spec": spec, "status": phases | {"ActivePower": 1000}}).warnings == ()


def test_an_answer_that_means_nothing_changes_nothing() -> None:
    one = meter(profile="auto", product_id="gqmmtjclqb7reg5p")
    choices = Choices()
    for answer in (PC321, {"200": "x"}, {}):
        choices.decode(one, answer)
    assert choices.of(one).name == "owon_pc321"


def test_files_that_cant_be_read_now_cost_no_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A process without open files has the answer, and the profile by which it is understood."""
    folder = tmp_path / "profiles"
    choices, one = Choices(lambda: folder), meter(profile="auto", product_id="gqmmtjclqb7reg5p")
    choices.decode(one, PC321)
    folder.write_text("no folder: listing it fails")
    for _ in range(2):
        assert choices.decode(one, PC321 | {"111": 2352}).values["voltage_b"] == 235.2
    assert caplog.text.count("its profile is not chosen again") == 1
    with pytest.raises(ConfigError, match="can't be read: Not a directory"):
        choices.decode(meter("other", profile="auto"), PC321)


def test_a_meter_that_is_configured_again_gets_a_new_profile() -> None:
    choices = Choices()
    choices.decode(meter(profile="auto"), PC321)
    assert choices.of(meter(profile="plug")).name == "plug"


def test_a_product_is_found_by_its_id() -> None:
    assert Choices().of(meter(profile="auto", product_id="gqmmtjclqb7reg5p")).name == "owon_pc321"


def test_a_configured_profile_is_always_used() -> None:
    found = Choices().decode(meter(profile="plug"), {"20": 2386, "131": 5})
    assert (found.values, found.diagnostics) == ({"voltage": 238.6}, {"dp_131": 5})


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="no profile 'nosuch'"):
        Choices().of(meter(profile="nosuch"))


def test_ones_own_profile_wins(tmp_path: Path) -> None:
    text = (
        'products = ["gqmmtjclqb7reg5p"]\n[datapoints]\n101 = { code = "v", key = "voltage", '
        "divisor = 10 }"
    )
    choices = Choices(lambda: own_profile(tmp_path, text))
    one = meter(profile="auto", product_id="gqmmtjclqb7reg5p")
    assert choices.decode(one, {"101": 2351}).values == {"voltage": 235.1}
    assert choices.of(one).name == "mine"


@pytest.mark.parametrize("text", ["{", '{"id": 1}', ""])
def test_a_faulty_mapping_file_is_reported(tmp_path: Path, text: str) -> None:
    file = tmp_path / "devices.json"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"devices\.json"):
        Choices().of(meter(profile="auto", mapping_file=file))


def test_a_missing_mapping_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        Choices().of(meter(profile="auto", mapping_file=tmp_path / "devices.json"))


@pytest.mark.parametrize(
    ("dps", "name"),
    [
        ({"1": 5, "2": 0, "15": 69, "101": 5006, "102": 2288, "103": 639, "104": 101}, "v1"),
        (
            {"1": 5, "23": 0, "32": 5006, "50": 69, "102": 2288, "103": 639, "104": 101},
            "v2",
        ),
    ],
)
def test_two_layouts_of_one_product_are_distinguished_by_their_datapoints(
    dps: dict[str, int], name: str
) -> None:
    trial = try_capture({"product_id": "aqktrdhlsw8q90dr", "dps": dps})
    assert trial.profile == f"zemismart_spm01_{name}"
    assert trial.values["power_factor"] == 0.69
    assert trial.values["frequency"] == 50.06


def test_a_profile_that_the_answer_contradicts_is_dropped() -> None:
    trial = try_capture(
        {
            "product_id": "gqmmtjclqb7reg5p",
            "mapping": {
                "101": {"code": "forward_energy_total", "type": "Integer", "values": {"scale": 2}},
                "102": {"code": "cur_voltage", "type": "Integer", "values": {"scale": 1}},
            },
            "dps": {"101": 99_999, "102": 2301},
        }
    )
    assert trial.values == {"energy_import": 999.99, "voltage": 230.1}
    assert "owon_pc321" in trial.warnings[0]


def test_an_answer_by_code_means_the_same() -> None:
    points = shipped()["owon_pc321"].datapoints
    status = [{"code": points[dp].code, "value": raw} for dp, raw in PC321.items()]
    product = {"product_id": "gqmmtjclqb7reg5p"}
    assert try_capture({**product, "status": status}) == try_capture({**product, "dps": PC321})


@pytest.mark.parametrize("capture", [{"dps": [1]}, {"status": "x"}, {"status": [{"value": 1}]}])
def test_a_capture_of_another_shape_is_refused(capture: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="dps"):
        try_capture(capture)


def test_a_profile_that_its_maker_contradicts_is_named() -> None:
    values = {"unit": "Kw·h", "scale": 3}
    mapping = {"131": {"code": "TotalEnergyConsumed", "type": "Integer", "values": values}}
    product = {"product_id": "gqmmtjclqb7reg5p", "mapping": mapping}
    trial = try_capture({**product, "dps": {"131": 1_044_354}})
    assert trial.values == {"energy_import": 10_443.54}
    assert "DP 131" in trial.warnings[0]


class Notebook:
    """A memory of this test."""

    def __init__(self) -> None:
        self.left: dict[str, Remembered] = {}

    def get(self, source: str) -> Remembered | None:
        return self.left.get(source)

    def put(self, source: str, remembered: Remembered) -> None:
        self.left[source] = remembered


LIVE = {"1": True, "9": 0, "17": 12, "18": 235, "19": 251, "20": 2391}
PLUG_KEYS = {"voltage", "current", "active_power"}


def test_a_meter_is_recognised_once_its_answers_prove_it() -> None:
    """While its relay is off a plug may say nothing that another device could not say."""
    told: list[Change] = []
    choices = Choices(announce=lambda _, change: told.append(change))
    one = meter(profile="auto")
    for _ in range(3):
        assert choices.decode(one, {"1": False, "18": 0, "19": 0, "20": 0}).values == {}
    assert choices.decode(one, LIVE).values.keys() == PLUG_KEYS
    assert {key for change in told for key in change.gained} == PLUG_KEYS
    # What was proved once needs no proof again.
    assert choices.decode(one, {**LIVE, "18": 0, "19": 0, "20": 0}).values["voltage"] == 0
    assert len(told) == 1


def test_a_guess_that_was_confirmed_is_no_warning_any_more() -> None:
    choices, one = Choices(), meter(profile="auto")
    said = [choices.decode(one, {**LIVE, "20": 2391 + n}).warnings for n in range(6)]
    assert "unknown" in said[0][0]
    assert said[-1] == ()


def test_a_recognised_profile_outlasts_a_restart() -> None:
    notebook, one = Notebook(), meter(profile="auto")
    Choices(memory=notebook).decode(one, LIVE)
    again = Choices(memory=notebook)
    assert set(again.of(one).keys) == PLUG_KEYS
    assert again.decode(one, {"20": 0}).values == {"voltage": 0}
    other = meter(profile="auto", device_id="another")
    assert again.of(other).keys == ()


def test_a_guess_that_the_answers_refuse_is_withdrawn() -> None:
    """The device was exchanged for a thermostat: 23.0 degrees are no voltage."""
    told: list[Change] = []
    choices = Choices(announce=lambda _, change: told.append(change))
    one = meter(profile="auto")
    choices.decode(one, LIVE)
    for _ in range(4):
        choices.decode(one, {**LIVE, "18": 215, "19": 0, "20": 230})
    assert set(choices.of(one).keys) == PLUG_KEYS
    assert choices.decode(one, {**LIVE, "18": 215, "19": 0, "20": 230}).values == {}
    assert set(told[-1].lost) == PLUG_KEYS


def test_a_confirmed_guess_is_withdrawn_as_well_a_few_answers_later() -> None:
    told: list[Change] = []
    choices = Choices(announce=lambda _, change: told.append(change))
    one = meter(profile="auto")
    for n in range(50):
        choices.decode(one, {**LIVE, "20": 2391 + n % 7})
    for _ in range(13):
        choices.decode(one, {**LIVE, "18": 215, "19": 0, "20": 230})
    assert choices.of(one).keys == ()
    assert set(told[-1].lost) == PLUG_KEYS


def test_a_reload_that_changes_a_label_or_an_address_loses_nothing() -> None:
    choices = Choices()
    for n in range(6):
        choices.decode(meter(profile="auto"), {**LIVE, "20": 2391 + n})
    moved = meter(profile="auto", label="Kitchen", address="192.0.2.7")
    found = choices.decode(moved, {"20": 2400})
    assert (found.values, found.warnings) == ({"voltage": 240}, ())
    # Another device is another meter.
    assert choices.of(meter(profile="auto", device_id="another")).keys == ()


SPM01 = "aqktrdhlsw8q90dr"
SPM01_V1 = {
    "1": 5, "2": 7, "9": 0, "15": 69, "16": True, "101": 5006, "102": 2288, "103": 639, "104": 101
}  # fmt: skip
SPM01_V2 = {
    "1": 9, "9": 0, "23": 12, "29": 62, "32": 5001, "50": 41, "102": 2402, "103": 623, "104": 62
}  # fmt: skip


def test_a_firmware_that_exchanges_the_datapoints_is_noticed() -> None:
    """Zemismart's SPM01 moved its export, frequency and power factor (tuya-local #2219, #2494)."""
    changes: list[Change] = []
    choices = Choices(announce=lambda _, change: changes.append(change))
    one = meter(profile="auto", product_id=SPM01)
    before = choices.decode(one, SPM01_V1).values
    assert (before["energy_export"], before["frequency"], before["power_factor"]) == (
        0.07, 50.06, 0.69
    )  # fmt: skip
    for _ in range(19):
        found = choices.decode(one, SPM01_V2).values
        assert found.items() <= {
            "energy_import": 0.09, "energy_export": 0.12, "active_power": 62, "frequency": 50.01,
            "power_factor": 0.41, "voltage": 240.2, "current": 0.623,
        }.items()  # fmt: skip
    after = choices.decode(one, SPM01_V2).values
    assert (after["energy_export"], after["frequency"], after["power_factor"]) == (
        0.12, 50.01, 0.41
    )  # fmt: skip
    assert choices.of(one).name == "zemismart_spm01_v2"
    assert changes


def test_parts_of_an_answer_are_no_other_firmware() -> None:
    choices, one = Choices(), meter(profile="auto", product_id=SPM01)
    choices.decode(one, SPM01_V1)
    for _ in range(60):
        assert choices.decode(one, {"102": 2288, "103": 639, "104": 101}).values
    assert choices.of(one).name == "zemismart_spm01_v1"
    assert choices.decode(one, SPM01_V1).values["frequency"] == 50.06


def test_one_odd_answer_withdraws_nothing() -> None:
    choices, one = Choices(), meter(profile="auto")
    for n in range(20):
        choices.decode(one, {**LIVE, "20": 230 if n % 5 == 4 else 2391})
    assert set(choices.of(one).keys) == PLUG_KEYS


def test_an_open_question_is_asked_ever_more_rarely() -> None:
    asked: list[Meter] = []

    def known(one: Meter) -> Device:
        asked.append(one)
        return Device()

    choices = Choices(known=known)
    for n in range(200):
        choices.decode(meter(profile="auto"), {"101": n + 1})
    assert len(asked) <= 9


def test_the_files_of_what_was_recognised_hold_no_raw_value(tmp_path: Path) -> None:
    one = meter(profile="auto")
    Choices(memory=Files(tmp_path / "profiles", "1.0")).decode(one, {**LIVE, "102": "secret"})
    (file,) = (tmp_path / "profiles").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert "secret" not in file.read_text()
    assert one.device_id not in file.name
    assert set(Choices(memory=Files(tmp_path / "profiles", "1.0")).of(one).keys) == PLUG_KEYS
    assert Choices(memory=Files(tmp_path / "profiles", "2.0")).of(one).keys == ()
    file.write_text("{")
    assert Choices(memory=Files(tmp_path / "profiles", "1.0")).of(one).keys == ()


def test_a_folder_that_refuses_costs_no_reading(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    choices = Choices(memory=Files(tmp_path / "file" / "profiles", "1.0"))
    assert choices.decode(meter(profile="auto"), LIVE).values.keys() == PLUG_KEYS
