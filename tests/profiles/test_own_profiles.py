"""The user's own profiles: files that are checked, and take precedence over shipped ones."""

import os
from pathlib import Path

import pytest

from esquirell.domain.errors import ConfigError
from esquirell.profiles import find, own, parse, shipped
from esquirell.profiles.capture import try_capture

HEAD = 'title = "Mine"\n[datapoints]\n'
MINE = f'{HEAD}18 = {{ code = "cur_current", key = "current", divisor = 100 }}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "profiles"
    folder.mkdir()
    return folder


def test_own_profiles_are_found_by_their_file(folder: Path) -> None:
    (folder / "my_meter.toml").write_text(MINE)
    (folder / "notes.txt").write_text("not a profile")
    assert list(own(folder)) == ["my_meter"]
    assert find("my_meter", own(folder)).title == "Mine"
    assert find("plug", own(folder)) is shipped()["plug"]


@pytest.mark.parametrize("directory", [None, Path("/proc/nothing/profiles")])
def test_no_folder_no_profiles(directory: Path | None) -> None:
    assert own(directory) == {}


def test_an_own_profile_wins_by_name_and_by_product(folder: Path) -> None:
    (folder / "plug.toml").write_text(MINE)
    (folder / "mine.toml").write_text(f'products = ["9y0qx7npuny0pnwt"]\n{MINE}')
    assert find("plug", own(folder)).title == "Mine"
    answer = {"18": 235, "19": 251, "20": 2391}
    trial = try_capture({"product_id": "9y0qx7npuny0pnwt", "dps": answer}, folder)
    assert (trial.profile, trial.values["current"]) == ("mine", 2.35)


def test_an_own_profile_wins_whatever_the_answer_says(folder: Path) -> None:
    wrong = f'{HEAD}20 = {{ code = "v", key = "voltage", note = "as the display shows" }}\n'
    (folder / "mine.toml").write_text(f'products = ["9y0qx7npuny0pnwt"]\n{wrong}')
    volt = {"code": "cur_voltage", "type": "Integer", "values": {"unit": "V", "scale": 1}}
    capture = {"product_id": "9y0qx7npuny0pnwt", "mapping": {"20": volt}, "dps": {"20": 2391}}
    trial = try_capture(capture, folder)
    assert (trial.profile, trial.values) == ("mine", {})
    assert "DP 20 (v): 2391 is not a possible voltage" in trial.warnings


def test_an_unknown_name_gets_the_nearest(folder: Path) -> None:
    (folder / "my_meter.toml").write_text(MINE)
    with pytest.raises(ConfigError, match=r"no profile 'my_metre'; did you mean 'my_meter'\?"):
        find("my_metre", own(folder))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("title = ", "not valid TOML: Invalid value"),
        ('title = "Mine"', "datapoints is missing"),
        (HEAD, "datapoints must not be empty"),
        (f'title = ""\n{MINE[15:]}', "title must not be empty"),
        (f'name = "x"\n{MINE}', "name is not allowed"),
        (f"odd = 1\n{MINE}", "odd is not a known key; the nearest known key is model"),
        (f'requires = ["3"]\n{MINE}', "requires names 3, which is not one of the datapoints"),
        (f"requires = 3\n{MINE}", 'requires must be a list, such as ["18", "19"]'),
        (f"refresh = [19]\n{MINE}", "refresh names 19, which is not one of the datapoints"),
        (f"{HEAD}1 = 5", "datapoints.1 must be a table"),
        (f'{HEAD}1 = {{ kode = "c" }}', "datapoints.1.code is missing"),
        (f'{HEAD}1 = {{ code = "" }}', "datapoints.1.code must not be empty"),
        (f'{HEAD}1 = {{ code = "c", divizor = 1 }}', "the nearest known key is divisor"),
        (
            f'{HEAD}1 = {{ code = "c", key = "voltag_a" }}',
            "voltag_a is not a quantity; did you mean",
        ),
        (f'{HEAD}1 = {{ code = "c", key = "enrgy_imprt" }}', "did you mean 'energy_import'?"),
        (f'{HEAD}1 = {{ code = "c", key = "voltage A" }}', "voltage A is not a quantity"),
        (f'{HEAD}1 = {{ code = "c", frame = "legacy8" }}', "did you mean 'legacy-8'?"),
        (f'{HEAD}1 = {{ code = "c", key = "voltage", divisor = 0 }}', "must be greater than 0"),
        (f'{HEAD}1 = {{ code = "c", key = "voltage", divisor = inf }}', "finite number"),
        (f'{HEAD}1 = {{ code = "c", key = "voltage", divisor = "x" }}', "must be a number"),
        (f'{HEAD}1 = {{ code = "c", divisor = 10 }}', "divisor belongs to a key"),
        (f'{HEAD}1 = {{ code = "c", suffix = "a" }}', "suffix belongs to a frame"),
        (f'{HEAD}1 = {{ code = "c", key = "voltage", frame = "auto" }}', "a key or a frame"),
        (f'{HEAD}1 = {{ code = "c", key = "voltage", direction = "9" }}', "direction names 9"),
        (f'{HEAD}0 = {{ code = "c" }}', "datapoints.0 is not a datapoint: use its DP id, 1 to 255"),
        (f'{HEAD}256 = {{ code = "c" }}', "datapoints.256 is not a datapoint"),
        (f'{HEAD}{"9" * 5000} = {{ code = "c" }}', "is not a datapoint"),
        (f'{MINE}19 = {{ code = "d", key = "current" }}', "key current is given 2 times"),
        (f'{MINE}19 = {{ code = "cur_current" }}', "code cur_current is given 2 times"),
        (f'{MINE}18 = {{ code = "d" }}', "not valid TOML"),
        (f"x = {'[' * 100_000}", "not valid TOML"),
    ],
)
def test_a_faulty_profile_is_refused_in_one_sentence(folder: Path, text: str, says: str) -> None:
    file = folder / "mine.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as told:
        own(folder)
    assert says in str(told.value)
    assert str(told.value).startswith(f"{file}")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", ["auto", "My meter", "zähler", "x" * 65])
def test_a_name_that_cannot_be_configured(folder: Path, name: str) -> None:
    (folder / f"{name}.toml").write_text(MINE)
    with pytest.raises(ConfigError, match="a profile is named after its file"):
        own(folder)


def test_files_that_cannot_be_profiles(folder: Path) -> None:
    for name, make, says in (
        ("folder", lambda file: file.mkdir(), "is not a file"),
        ("pipe", os.mkfifo, "is not a file"),
        ("link", lambda file: file.symlink_to("nowhere"), "No such file"),
        ("large", lambda file: file.write_bytes(b"#" * 300_000), "larger than 256 KiB"),
        ("bytes", lambda file: file.write_bytes(b"\xff\xfe"), "text in UTF-8"),
    ):
        file = folder / f"{name}.toml"
        make(file)
        with pytest.raises(ConfigError, match=says):
            own(folder)
        file.rename(folder / name)


def test_a_divisor_may_be_below_one() -> None:
    profile = parse("mine", f'{HEAD}9 = {{ code = "p", key = "active_power", divisor = 0.01 }}')
    assert profile.datapoints["9"].divisor == 0.01
