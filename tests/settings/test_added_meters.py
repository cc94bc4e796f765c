"""Meters that were added while the service ran: a file each in the state directory."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from support.configuration import KEY, METER, ConfigurationFolder

from esquirell.domain.errors import ConfigError, DiskError
from esquirell.settings.added_meters import version_of
from esquirell.settings.meter_files import MeterFiles
from esquirell.settings.state_files import StateDirectory


def said(folder: ConfigurationFolder, sentence: str) -> str:
    """Return a sentence without the folder's name."""
    return sentence.replace(f"{folder.path}{os.sep}", "")


BARN = f'device_id = "bfbarn"\nlocal_key = "{KEY}"\nlabel = "Barn"\n'
SHED = f'device_id = "bfshed"\nlocal_key = "{KEY}"\n'


def test_added_meters_are_listed_beside_configured_ones(folder: ConfigurationFolder) -> None:
    folder.put("data/meters/barn.toml", BARN)
    settings = folder.load(METER)
    assert [one.name for one in settings.meters] == ["main", "barn"]
    assert settings.added == ("barn",)
    assert settings.meters[1].local_key.get_secret_value() == KEY
    assert settings.warnings == ()


def test_they_are_in_natural_order(folder: ConfigurationFolder) -> None:
    for number in (10, 1, 2):
        folder.put(f"data/meters/flat-{number}.toml", SHED.replace("shed", str(number)))
    assert folder.load("").added == ("flat-1", "flat-2", "flat-10")


def test_they_do_without_any_in_the_configuration(folder: ConfigurationFolder) -> None:
    folder.put("data/meters/barn.toml", BARN)
    settings = folder.load("")
    assert [one.name for one in settings.meters] == ["barn"]
    assert settings.warnings == ()


def test_a_name_in_both_is_an_error_that_names_both(folder: ConfigurationFolder) -> None:
    folder.put("data/meters/main.toml", BARN)
    settings = folder.load(METER)
    assert said(folder, settings.left_out["main"]) == (
        "meter main is defined in esquirell.toml and in data/meters/main.toml: remove one of them"
    )
    assert settings.meters[0].device_id == "bf0123456789abcdefghij"
    assert settings.added == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("device_id =", "data/meters/barn.toml is not valid TOML"),
        (BARN + "colour = 1", "data/meters/barn.toml: colour is not a known key"),
        (BARN.replace(KEY, "short"), "data/meters/barn.toml: local_key has 5 characters"),
        (BARN + 'name = "shed"', "data/meters/barn.toml: name must be barn"),
        (BARN.replace("bfbarn", "bf0123456789abcdefghij"), "device_id is that of main"),
    ],
)
def test_a_faulty_one_is_named_and_holds_up_no_other(
    folder: ConfigurationFolder, text: str, problem: str
) -> None:
    folder.put("data/meters/barn.toml", text)
    folder.put("data/meters/shed.toml", SHED)
    settings = folder.load(METER)
    assert problem in said(folder, settings.left_out["barn"])
    assert (settings.meter_names, settings.added) == (["main", "shed"], ("shed",))
    assert settings.damage == [f"{settings.left_out['barn']}: the meter barn is left out"]
    assert settings.warnings == ()


def make_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda file: file.write_bytes(b""),
    "zeros": lambda file: file.write_bytes(bytes(512)),
    "bytes": lambda file: file.write_bytes(bytes(range(256))),
    "brackets": lambda file: file.write_text("name = " + "[" * 50_000),
    "half": lambda file: file.write_bytes(file.read_bytes()[:30]),
    "folder": make_folder,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_a_power_cut_leaves_holds_up_no_other(
    folder: ConfigurationFolder, damage: str
) -> None:
    DAMAGES[damage](folder.put("data/meters/barn.toml", BARN))
    folder.put("data/meters/shed.toml", SHED)
    settings = folder.load("")
    assert settings.meter_names == ["shed"]
    assert "data/meters/barn.toml" in settings.left_out["barn"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_affects_no_other_meter(folder: ConfigurationFolder) -> None:
    folder.put("data/meters/barn.toml", BARN, 0o000)
    folder.put("data/meters/shed.toml", SHED)
    settings = folder.load("")
    assert settings.meter_names == ["shed"]
    assert "can't be read by this user" in settings.left_out["barn"]


def test_the_first_of_two_files_for_one_device_counts(folder: ConfigurationFolder) -> None:
    folder.put("data/meters/barn.toml", BARN)
    folder.put("data/meters/shed.toml", BARN)
    settings = folder.load("")
    assert settings.meter_names == ["barn"]
    assert "device_id is that of barn" in settings.left_out["shed"]


def test_an_error_of_the_configuration_is_not_blamed_on_a_damaged_meter(
    folder: ConfigurationFolder,
) -> None:
    folder.put("data/meters/barn.toml", "device_id =")
    assert "mqtt: port" in folder.refusal(f"mqtt.port = 0\n{METER}")


def test_what_names_a_damaged_one_holds_up_nothing(folder: ConfigurationFolder) -> None:
    """A schedule, a price, a meter below it, and a variable."""
    folder.put("data/meters/barn.toml", "")
    folder.put("data/meters/shed.toml", SHED + 'upstream = "barn"\n')
    rule = '[[schedules]]\nname = "fast"\nevery = 5\nmeters = ["main", "barn"]\n'
    price = '[[tariffs]]\nname = "t"\ncurrency = "EUR"\nimport_price = 0.3\nmeters = ["barn"]\n'
    settings = folder.load(
        METER + rule + price, 0o600, ESQUIRELL_METERS__BARN__ADDRESS="192.168.1.8"
    )
    assert settings.meter_names == ["main", "shed"]
    assert list(settings.left_out) == ["barn"]
    assert settings.schedules[0].meters == ("main", "barn")


def test_a_file_in_place_of_the_folder_is_an_error(folder: ConfigurationFolder) -> None:
    folder.put("data/meters", "")
    assert folder.refusal(METER) == "data/meters must be a folder: remove the file of this name"


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
    (folder.path / "data").mkdir()
    return MeterFiles(StateDirectory(folder.path / "data"))


def test_written_files_are_readable_by_their_owner_only(
    files: MeterFiles, folder: ConfigurationFolder
) -> None:
    table = {"name": "barn", "device_id": "bfbarn", "local_key": KEY, "label": 'B"\\\n'}
    file = files.put("barn", table)
    assert file == folder.path / "data/meters/barn.toml"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert files.read("barn") == table
    # A label is one line.
    assert folder.load(METER).meters[1].label == 'B"\\'


def test_an_added_meter_that_would_not_load_is_not_written(files: MeterFiles) -> None:
    with pytest.raises(ConfigError, match="is that of main"):
        files.put("barn", {"device_id": "bf0123456789abcdefghij", "local_key": KEY})
    assert not files.file("barn").exists()


def test_one_that_others_need_is_not_removed(
    files: MeterFiles, folder: ConfigurationFolder
) -> None:
    files.put("barn", {"device_id": "bfbarn", "local_key": KEY})
    files.put("shed", {"device_id": "bfshed", "local_key": KEY, "upstream": "barn"})
    with pytest.raises(ConfigError, match="upstream names barn, which is not a configured meter"):
        files.remove("barn")
    files.remove("shed")
    files.remove("barn")
    assert folder.load(METER).added == ()


def test_a_damaged_one_is_no_obstacle_to_others_and_can_be_replaced(
    files: MeterFiles, folder: ConfigurationFolder
) -> None:
    folder.put("data/meters/barn.toml", "device_id =")
    files.put("shed", {"device_id": "bfshed", "local_key": KEY})
    assert list(folder.load(METER).left_out) == ["barn"]
    files.put("barn", {"device_id": "bfbarn", "local_key": KEY})
    assert folder.load(METER).left_out == {}
    folder.put("data/meters/barn.toml", "device_id =")
    files.remove("barn")
    assert folder.load(METER).left_out == {}


def test_the_second_of_two_writers_waits(files: MeterFiles) -> None:
    order = []

    def second() -> None:
        with files.alone():
            order.append("second")

    with files.alone():
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_waiting_too_long_for_the_files_is_an_error(files: MeterFiles) -> None:
    impatient = MeterFiles(StateDirectory(files.file("barn").parents[1]), patience_s=0)
    with (
        files.alone(),
        pytest.raises(DiskError, match=r"another program is changing the files in .*: try again"),
        impatient.alone(),
    ):
        pass
    with impatient.alone():
        pass


def test_nothing_is_written_where_the_state_directory_is_gone(
    files: MeterFiles, folder: ConfigurationFolder
) -> None:
    table = {"device_id": "bfbarn", "local_key": KEY}
    (folder.path / "data").rmdir()
    with pytest.raises(DiskError, match="mount its disk again"), files.alone():
        pass
    with pytest.raises(DiskError, match="mount its disk again"):
        files.put("barn", table)
    with pytest.raises(DiskError, match="mount its disk again"):
        files.remove("barn")
    assert not (folder.path / "data").exists()


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
