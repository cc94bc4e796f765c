"""Meters that were added while the service ran: a file each in the state directory."""

from pathlib import Path

import pytest
from support.configuration import KEY, METER, ConfigurationFolder

from esquirell.domain.errors import ConfigError
from esquirell.settings.added_meters import version_of
from esquirell.settings.meter_files import MeterFiles

BARN = f'device_id = "bfbarn"\nlocal_key = "{KEY}"\nlabel = "Barn"\n'


def test_they_stand_beside_those_of_the_configuration(folder: ConfigurationFolder) -> None:
    folder.put("data/meters/barn.toml", BARN)
    settings = folder.load(METER)
    assert [one.name for one in settings.meters] == ["main", "barn"]
    assert settings.added == ("barn",)
    assert settings.meters[1].local_key.get_secret_value() == KEY
    assert settings.warnings == ()


def test_they_do_without_any_in_the_configuration(folder: ConfigurationFolder) -> None:
    folder.put("data/meters/barn.toml", BARN)
    settings = folder.load("")
    assert [one.name for one in settings.meters] == ["barn"]
    assert settings.warnings == ()


def test_a_name_in_both_is_an_error_that_names_both(folder: ConfigurationFolder) -> None:
    folder.put("data/meters/main.toml", BARN)
    assert folder.refusal(METER) == (
        "meter main stands in esquirell.toml and in data/meters/main.toml: remove one of them"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("device_id =", "data/meters/barn.toml is not valid TOML"),
        (BARN + "colour = 1", "data/meters/barn.toml: colour is not a known key"),
        (BARN.replace(KEY, "short"), "data/meters/barn.toml: local_key has 5 characters"),
        (BARN + 'name = "shed"', "data/meters/barn.toml: name must be barn"),
        (BARN.replace("bfbarn", "bf0123456789abcdefghij"), "device_id is that of main"),
    ],
)
def test_a_faulty_one_is_named(folder: ConfigurationFolder, text: str, said: str) -> None:
    folder.put("data/meters/barn.toml", text)
    assert said in folder.refusal(METER)


def test_variables_win_over_them(folder: ConfigurationFolder) -> None:
    folder.put("data/meters/barn.toml", BARN)
    settings = folder.load(METER, 0o600, ESQUIRELL_METERS__BARN__ADDRESS="192.168.1.8")
    assert settings.meters[1].address == "192.168.1.8"


def test_a_schedule_of_the_file_may_name_them(folder: ConfigurationFolder) -> None:
    folder.put("data/meters/barn.toml", BARN)
    rule = '[[schedules]]\nname = "fast"\nevery = 5\nmeters = ["barn"]\n'
    assert folder.load(METER + rule).schedules[0].meters == ("barn",)


@pytest.fixture
def files(folder: ConfigurationFolder, monkeypatch: pytest.MonkeyPatch) -> MeterFiles:
    folder.put("esquirell.toml", METER)
    monkeypatch.setenv("ESQUIRELL_CONFIG", str(folder.file))
    return MeterFiles(folder.path / "data")


def test_what_is_written_is_read_again_by_its_owner_alone(
    files: MeterFiles, folder: ConfigurationFolder
) -> None:
    table = {"name": "barn", "device_id": "bfbarn", "local_key": KEY, "label": 'B"\\\n'}
    file = files.put("barn", table)
    assert file == folder.path / "data/meters/barn.toml"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert files.read("barn") == table
    assert folder.load(METER).meters[1].label == 'B"\\\n'


def test_what_would_not_load_is_not_written(files: MeterFiles) -> None:
    with pytest.raises(ConfigError, match="is that of main"):
        files.put("barn", {"device_id": "bf0123456789abcdefghij", "local_key": KEY})
    assert not files.file("barn").exists()


def test_one_that_others_need_is_not_removed(
    files: MeterFiles, folder: ConfigurationFolder
) -> None:
    files.put("barn", {"device_id": "bfbarn", "local_key": KEY})
    files.put("shed", {"device_id": "bfshed", "local_key": KEY, "upstream": "barn"})
    with pytest.raises(ConfigError, match="upstream names barn, which is no configured meter"):
        files.remove("barn")
    files.remove("shed")
    files.remove("barn")
    assert folder.load(METER).added == ()


def test_each_change_of_the_files_is_seen(files: MeterFiles, folder: ConfigurationFolder) -> None:
    state: Path = folder.path / "data"
    seen = [version_of(state)]
    files.put("barn", {"device_id": "bfbarn", "local_key": KEY})
    seen.append(version_of(state))
    files.put("barn", {"device_id": "bfbarn", "local_key": KEY, "label": "Barn"})
    seen.append(version_of(state))
    files.remove("barn")
    seen.append(version_of(state))
    assert seen[0] == seen[3] == ()
    assert seen[1] != seen[2]
