"""Commands of root's in the state directory of the service's user."""

import os
import sys
from pathlib import Path

import pytest
from support.cli import Home, esquirell, meter

from esquirell.cli import ownership
from esquirell.domain.errors import ConfigError
from esquirell.settings import files

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def foreign(home: Home) -> Home:
    """A home whose state directory belongs to another user."""
    home.configure(meter())
    home.database.parent.mkdir(mode=0o700)
    os.chown(home.database.parent, NOBODY, NOBODY)
    return home


@needs_root
def test_files_created_by_root_belong_to_the_service(foreign: Home) -> None:
    assert esquirell("db", "upgrade").code == 0
    assert esquirell("fetch").code == 1
    made = list(foreign.database.parent.rglob("*"))
    assert foreign.database in made
    assert {path.lstat().st_uid for path in made} == {NOBODY}


@needs_root
@pytest.mark.parametrize("role", ["run", "worker", "beat", "bridge"])
def test_root_does_not_run_the_service_there(foreign: Home, role: str) -> None:
    said = esquirell(role)
    assert said.code == 2
    assert f"{foreign.database.parent} belongs to nobody" in said.sentence
    assert list(foreign.database.parent.iterdir()) == []


@needs_root
def test_links_are_not_followed(foreign: Home) -> None:
    other = foreign.path / "other"
    other.mkdir()
    (foreign.database.parent / "link").symlink_to(other)
    (other / "file").touch()
    ownership.hand_over(foreign.database.parent)
    assert {path.stat().st_uid for path in (other, other / "file")} == {0}


@needs_root
def test_the_owner_of_the_service_is_named_to_an_ordinary_user(
    foreign: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in [foreign.path, *foreign.path.parents][:-1]:
        if folder.stat().st_mode & 0o001 == 0:
            folder.chmod(folder.stat().st_mode | 0o011)
    foreign.database.parent.chmod(0o700)
    foreign.config.chmod(0o644)
    monkeypatch.chdir(foreign.path)
    os.seteuid(1234)
    try:
        upgraded, checked = esquirell("db", "upgrade"), esquirell("doctor")
        shown = [esquirell("config", "show"), esquirell("config", "check"), esquirell("doctor")]
    finally:
        os.seteuid(0)
    assert upgraded.code == 2
    assert upgraded.err.rstrip().endswith(
        "data belongs to nobody: run this with sudo, or as that user"
    )
    assert checked.code == 1
    assert "✗ state directory" in checked.out
    for said in shown:
        assert "meters that were added in" in said.err + said.out
        assert "are left out, as this user may not read it" in said.err + said.out


def test_a_folder_of_ones_own_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ownership.hand_over(tmp_path)
    ownership.check_entry(tmp_path)
    ownership.check_entry(tmp_path / "none")
    assert (tmp_path / "file").stat().st_uid == os.geteuid()
    assert ownership.strays(tmp_path) == []
    assert ownership.owner_of(tmp_path) in {"root", ownership.owner_of(tmp_path / "file")}


@needs_root
def test_strays_are_found(foreign: Home) -> None:
    folder = foreign.database.parent
    (folder / "locks").mkdir()
    (folder / "locks" / "main").touch()
    assert ownership.strays(folder) == ["locks", "main"]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_closed_folder_is_explained(tmp_path: Path) -> None:
    tmp_path.chmod(0)
    with pytest.raises(ConfigError, match="run this with sudo"):
        ownership.check_entry(tmp_path)
    tmp_path.chmod(0o700)


@needs_root
def test_root_starts_no_service_in_the_folder_of_another_user(home: Home) -> None:
    home.configure(meter())
    os.chown(home.path, NOBODY, NOBODY)
    said = esquirell("run")
    assert said.code == 2
    assert f"{home.path} belongs to nobody" in said.sentence
    assert not home.database.parent.exists()


@needs_root
def test_a_folder_that_root_has_left_in_ones_own_can_be_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    os.chown(tmp_path, NOBODY, NOBODY)
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    assert ownership.way_in(folder) == f"take it over: sudo chown -R $USER: {folder}"


@needs_root
def test_a_file_in_a_closed_folder_may_exist(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    assert not files.may_exist(closed / "file")
    os.seteuid(NOBODY)
    try:
        assert files.may_exist(closed / "file")
    finally:
        os.seteuid(0)


def test_a_trial_that_hides_the_configuration_of_the_service_is_named(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.configure(meter())
    home.store()
    machine = home.path / "machine.toml"
    machine.touch()
    monkeypatch.setattr(files, "SEARCHED", (Path("esquirell.toml"), machine))
    hint = f"the service of this machine has --config {machine}"
    assert hint not in esquirell("meters", "list").err
    monkeypatch.setattr(sys, "prefix", "/opt/esquirell")  # as in a container
    assert hint not in esquirell("meters", "list").err
    monkeypatch.setattr(sys, "prefix", "/opt/esquirell/0.1.0")
    assert hint in esquirell("meters", "list").err
