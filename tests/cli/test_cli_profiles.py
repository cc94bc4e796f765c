import json
import os
from pathlib import Path
from typing import Any

import pytest
from support.captures import METERS, captures
from support.cli import Home, esquirell, meter

from esquirell.profiles import shipped
from esquirell.profiles.capture import try_capture

MINE = """
title = "Meter in the cellar"
products = ["9y0qx7npuny0pnwt"]

[datapoints]
18 = { code = "cur_current", key = "current", divisor = 100 }
20 = { code = "cur_voltage", key = "voltage_a", divisor = 10 }
26 = { code = "fault" }
"""
PLUG = {"dps": {"1": True, "18": 235, "19": 251, "20": 2391}}
VOLT: dict[str, Any] = {"unit": "V", "min": 0, "max": 5000, "scale": 1, "step": 1}


@pytest.fixture
def capture(home: Home) -> Path:
    return home.path / "capture.json"


def add_profile(home: Home, name: str = "my_meter", text: str = MINE) -> Path:
    file = home.path / "profiles" / f"{name}.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return file


def tried(file: Path, entry: object, *options: str) -> dict[str, Any]:
    file.write_text(json.dumps(entry))
    said = esquirell("profiles", "try", str(file), "--json", *options)
    assert (said.code, said.err) == (0, "")
    shown: dict[str, Any] = said.json
    assert set(shown) - {"explanation"} == {"profile", "values", "diagnostics", "warnings"}
    return shown


def test_no_configuration_is_needed(home: Home) -> None:
    listed = esquirell("profiles", "list", "--json")
    assert (listed.code, listed.err) == (0, "")
    assert [one["name"] for one in listed.json] == sorted(shipped())
    assert {one["from"] for one in listed.json} == {"shipped"}
    assert esquirell("profiles", "list").rows[0] == ["name", "title", "category", "from"]
    assert home.files == set()


def test_own_profiles_beside_the_configuration_are_listed(home: Home) -> None:
    home.configure()
    add_profile(home)
    add_profile(home, "plug")
    listed = {one["name"]: one for one in esquirell("profiles", "list", "--json").json}
    assert (listed["my_meter"]["from"], listed["my_meter"]["keys"]) == (
        "own",
        ["current", "voltage_a"],
    )
    assert listed["plug"]["title"] == "Meter in the cellar"
    rows = esquirell("profiles", "show", "plug").rows
    assert rows[0] == ["plug: Meter in the cellar (own)"]
    assert rows[2] == ["18", "cur_current", "current", "A", "100", ""]
    assert rows[4] == ["26", "fault", "(diagnostic)", "", "", ""]


@pytest.mark.usefixtures("home")
def test_a_profile_is_shown_datapoint_by_datapoint() -> None:
    shown = esquirell("profiles", "show", "breaker", "--json").json
    assert shown["title"] == "Metering breaker, one phase"
    assert shown["datapoints"]["6"] == {"code": "phase_a", "frame": "auto", "suffix": "a"}
    text = esquirell("profiles", "show", "breaker").out
    assert "6\tphase_a\tvoltage_a current_a active_power_a\t\t\tauto" in text


@pytest.mark.usefixtures("home")
def test_an_unknown_profile_gets_the_nearest_name() -> None:
    said = esquirell("profiles", "show", "owon_pc312")
    assert said.code == 2
    assert "no profile 'owon_pc312'; did you mean 'owon_pc321'?" in said.sentence


def test_check_lists_the_keys_of_a_valid_profile(home: Home) -> None:
    file = add_profile(home)
    said = esquirell("profiles", "check", str(file))
    assert said.code == 0
    assert said.rows[0] == [f"{file} is fine: Meter in the cellar, 2 values"]
    assert "wins over the shipped profile plug for 9y0qx7npuny0pnwt" in said.err
    told = esquirell("profiles", "check", str(file), "--json").json
    assert (told["ok"], told["errors"], told["keys"]) == (True, [], ["current", "voltage_a"])
    assert "takes the place" in esquirell("profiles", "check", str(add_profile(home, "plug"))).err


def test_a_faulty_profile_is_reported_with_its_place(home: Home) -> None:
    file = add_profile(home, text=MINE.replace("voltage_a", "voltge_a"))
    said = esquirell("profiles", "check", str(file))
    assert said.code == 2
    assert said.sentence.startswith(f"{file}: datapoints.20.key voltge_a is not a quantity")
    told = esquirell("profiles", "check", str(file), "--json")
    assert (told.code, told.json["ok"], len(told.json["errors"])) == (2, False, 1)


@pytest.mark.parametrize("command", [("config", "check"), ("profiles", "list"), ("doctor",)])
def test_a_faulty_own_profile_is_a_configuration_error(
    home: Home, command: tuple[str, ...]
) -> None:
    home.configure(meter())
    file = add_profile(home, text=MINE.replace("code", "kode"))
    said = esquirell(*command)
    assert said.code == (1 if command == ("doctor",) else 2)
    assert f"{file}: datapoints.18.code is missing" in said.out + said.err


def test_a_faulty_own_profile_holds_up_no_other_meter(home: Home) -> None:
    home.configure(meter(profile='profile = "plug"'))
    file = add_profile(home, text=MINE.replace("code", "kode"))
    said = esquirell("meters", "show", "main", "--json")
    assert said.code == 0
    assert f"warning: {file}: datapoints.18.code is missing" in said.err


def test_an_own_profile_can_be_configured(home: Home) -> None:
    home.configure(meter(profile='profile = "my_meter"'))
    assert "did you mean" in esquirell("config", "check").sentence
    add_profile(home)
    assert esquirell("config", "check").code == 0
    assert esquirell("meters", "show", "main", "--json").json["keys"] == ["current", "voltage_a"]


def test_an_answer_is_decoded_by_its_datapoints_alone(capture: Path) -> None:
    shown = tried(capture, PLUG)
    assert shown["profile"] == "plug"
    assert shown["values"] == {"current": 0.235, "active_power": 25.1, "voltage": 239.1}
    assert shown["diagnostics"] == {"switch_1": True}
    assert "set product_id" in shown["warnings"][0]


def test_an_own_profile_wins(home: Home, capture: Path) -> None:
    home.configure()
    add_profile(home)
    shown = tried(capture, PLUG | {"product_id": "9y0qx7npuny0pnwt"})
    assert (shown["profile"], shown["values"]) == (
        "my_meter",
        {"current": 2.35, "voltage_a": 239.1},
    )


MAPPED = {"20": {"code": "cur_voltage", "type": "Integer", "values": VOLT}}
SPEC = {"code": "cur_voltage", "type": "Integer", "values": json.dumps(VOLT)}


@pytest.mark.parametrize(
    "entry",
    [
        {"mapping": MAPPED, "dps": {"20": 2391}},
        {"mapping": MAPPED, "dps": {"dps": {"20": 2391}}},
        {"mapping": {"20": SPEC}, "dps": {"20": 2391}},
        {"mapping": MAPPED, "status": {"cur_voltage": 2391}},
        {"mapping": MAPPED, "status": [{"code": "cur_voltage", "value": 2391}]},
        {"spec": {"cur_voltage": MAPPED["20"]}, "status": {"cur_voltage": 2391}},
        {"spec": [SPEC], "status": [{"code": "cur_voltage", "value": 2391}]},
        {"spec": {"functions": [], "status": [SPEC]}, "status": {"cur_voltage": 2391}},
        # Home Assistant's diagnostics of a device, as it offers them for download.
        {
            "home_assistant": {"version": "2026.11.0"},
            "data": {
                "category": "cz",
                "status_range": {"cur_voltage": {"type": "Integer", "value": VOLT}, "odd": None},
                "status": {"cur_voltage": 2391},
            },
        },
    ],
)
def test_each_form_of_a_captured_answer(capture: Path, entry: dict[str, Any]) -> None:
    assert tried(capture, entry)["values"] == {"voltage": 239.1}


def test_the_diagnostics_of_tuya_local_have_datapoints_alone(capture: Path) -> None:
    state = {"1": True, "18": 235, "19": 561, "20": 2391, "updated_at": 1.0}
    shown = tried(capture, {"data": {"name": "Plug", "status": {}, "cached_state": state}})
    assert shown == tried(capture, {"dps": {"1": True, "18": 235, "19": 561, "20": 2391}})
    assert shown["values"]["voltage"] == 239.1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not valid JSON"),
        ('{"dps": ', "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
        ('{"dps": {"18": NaN}}', "is not valid JSON"),
        ('{"dps": {"18": 1e999}}', "is not valid JSON"),
        ('{"dps": {"18": "\\ud800"}}', "is not valid JSON"),
        ('{"dps": {"18": ' + "9" * 5000 + "}}", "is not valid JSON"),
        ("[]", "contains no JSON object"),
        ("5", "contains no JSON object"),
        ('{"product_id": "x"}', "has neither dps nor status"),
        ('{"dps": null}', "has neither dps nor status"),
        ('{"data": {"devices": [{"status": {}}]}}', "has neither dps nor status"),
        ('{"dps": [1]}', "dps must be an object"),
        ('{"status": "x"}', "status must be an object or a list"),
        ('{"status": ["x"]}', "needs an object"),
        ('{"dps": {}, "mapping": []}', "mapping must be an object"),
        ('{"dps": {}, "spec": 5}', "spec must be an object or a list"),
        ('{"dps": {}, "product_id": 5}', "product_id must be text"),
        (json.dumps({"dps": {"1": "x" * 3_000_000}}), "is larger than 1024 KiB"),
    ],
)
def test_a_file_that_is_no_capture_is_refused(
    home: Home, capture: Path, text: str, says: str
) -> None:
    capture.write_text(text)
    said = esquirell("profiles", "try", str(capture), "--json")
    assert said.code == 2
    assert says in said.sentence
    assert home.files == {"capture.json"}


@pytest.mark.parametrize("command", ["check", "try"])
def test_files_that_cannot_be_read(home: Home, command: str) -> None:
    (home.path / "folder").mkdir()
    os.mkfifo(home.path / "pipe")
    (home.path / "bytes").write_bytes(b"\xff\xfe\x00")
    for name, says in (
        ("missing", "can't be read: No such file"),
        ("folder", "is not a file"),
        ("pipe", "is not a file"),
        ("bytes", "must be text in UTF-8"),
    ):
        said = esquirell("profiles", command, name)
        assert said.code == 2
        assert says in said.sentence


def test_people_get_tables(capture: Path) -> None:
    capture.write_text(json.dumps(PLUG))
    said = esquirell("profiles", "try", str(capture))
    assert said.rows[:3] == [
        ["quantity", "value", "unit"],
        ["profile", "plug", ""],
        ["current", "0.235", "A"],
    ]
    assert said.rows[-1] == ["switch_1", "true"]
    assert said.err.startswith("warning: the product is unknown")


@pytest.mark.usefixtures("home")
def test_a_named_configuration_has_to_be_there() -> None:
    said = esquirell("profiles", "list", "--config", "nowhere.toml")
    assert said.code == 2
    assert "nowhere.toml does not exist" in said.sentence


@pytest.mark.usefixtures("home")
def test_real_captures_are_taken_as_they_are() -> None:
    for one in list(captures())[::10]:
        shown = esquirell("profiles", "try", str(METERS / f"{one.file}.json"), "--json")
        assert shown.code == 0
        assert shown.json["values"].keys() == try_capture(one.capture).values.keys()


@pytest.mark.usefixtures("home")
def test_why_an_answer_is_understood_so_is_said_datapoint_by_datapoint() -> None:
    file = str(METERS / "znnbq_sg600md.json")
    shown = esquirell("profiles", "try", file, "--explain", "--json").json["explanation"]
    assert shown["found"] == "the vendor's own specification"
    assert any("20.5 W" in proof for proof in shown["proofs"])
    points = {one["dp"]: one for one in shown["datapoints"]}
    assert points["10"]["became"] == "active_power = 20.5"
    assert points["10"]["supported"]
    assert points["10"]["refused"] == []
    told = esquirell("profiles", "try", file, "--explain").out
    assert "found by: the vendor's own specification" in told
    told = esquirell("profiles", "try", str(METERS / "kg_dual-342.json"), "--explain").out
    assert "against it: DP 9 (cur_voltage): 1198 V is impossible" in told


def test_candidates_are_explained_for_an_answer_alone(capture: Path) -> None:
    answer = {"dps": {"1": True, "18": 235, "19": 251, "20": 2391, "99": "x"}}
    shown = tried(capture, answer, "--explain")["explanation"]
    assert "recognised" in shown["found"]
    assert any("not a grid voltage" in one for one in shown["refused"])
    points = {one["dp"]: one for one in shown["datapoints"]}
    assert points["20"]["supported"][0].endswith("of the votes for voltage = 239.1")
    assert points["99"]["became"] == "a diagnostic"


def test_nothing_proves_a_meter_and_that_is_said(capture: Path) -> None:
    shown = tried(capture, {"dps": {"1": True, "2": 215}}, "--explain")["explanation"]
    assert shown["found"] == "nothing proves that this is a meter"
    assert {one["became"] for one in shown["datapoints"]} <= {"a diagnostic", "left out"}
