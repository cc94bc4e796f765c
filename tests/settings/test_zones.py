from pathlib import Path

import pytest

from esquirell.settings.zones import check_zone, machine_zone, wrong_zone


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    folder = tmp_path / "etc"
    folder.mkdir()
    return folder


def put_zone(folder: Path, name: str) -> Path:
    file = folder / "zoneinfo" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    return file


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("Europe/Warsaw", "Europe/Warsaw"),
        (":Asia/Tokyo", "Asia/Tokyo"),
        ("", "UTC"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", None),
    ],
)
def test_the_variable_takes_precedence(etc: Path, text: str, zone: str | None) -> None:
    (etc / "timezone").write_text("Europe/Rome\n")
    assert machine_zone({"TZ": text}, etc) == zone


def test_the_link_names_the_zone(etc: Path, tmp_path: Path) -> None:
    (etc / "localtime").symlink_to(put_zone(tmp_path, "Europe/Warsaw"))
    (etc / "timezone").write_text("Europe/Rome\n")
    assert machine_zone({}, etc) == "Europe/Warsaw"


def test_a_link_to_a_link_is_followed(etc: Path, tmp_path: Path) -> None:
    between = tmp_path / "between"
    between.symlink_to(put_zone(tmp_path, "America/Argentina/Ushuaia"))
    (etc / "localtime").symlink_to(between)
    assert machine_zone({}, etc) == "America/Argentina/Ushuaia"


def test_beside_a_copied_file_the_text_names_the_zone(etc: Path) -> None:
    (etc / "localtime").write_bytes(b"TZif")
    assert machine_zone({}, etc) is None
    (etc / "timezone").write_text("Mars/Base\n")
    assert machine_zone({}, etc) is None
    (etc / "timezone").write_text("Europe/Rome\n")
    assert machine_zone({}, etc) == "Europe/Rome"


def test_a_machine_that_says_nothing_runs_on_utc(etc: Path) -> None:
    assert machine_zone({}, etc) == "UTC"


def test_a_misspelt_zone_is_refused_with_the_nearest() -> None:
    assert check_zone("Europe/Warsaw") == "Europe/Warsaw"
    with pytest.raises(ValueError, match="the nearest one is Europe/Warsaw"):
        check_zone("Europe/Warsow")


@pytest.mark.parametrize("environ", [{}, {"TZ": ""}, {"TZ": ":Asia/Tokyo"}])
def test_a_variable_that_is_right_or_not_set_is_not_to_blame(environ: dict[str, str]) -> None:
    assert wrong_zone(environ) is None


def test_a_misspelt_zone_is_named_with_the_nearest() -> None:
    said = wrong_zone({"TZ": ":Asia/Tokio"})
    assert said == "TZ is 'Asia/Tokio', which is no IANA time zone (Asia/Tokyo is the nearest)"
