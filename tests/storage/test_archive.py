"""An archive of a machine: complete or absent, and readable by its owner only."""

import json
import stat
import tarfile
from pathlib import Path

import pytest

from esquirell.domain.errors import ConfigError, UnavailableError
from esquirell.storage.database import Database
from esquirell.storage.maintenance.archive import MANIFEST, load, write


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    secret = tmp_path / "web-key"
    secret.write_text("key")
    secret.chmod(0o644)
    return {"web-key": secret, "meters/main.toml": secret}


def test_an_archive_lists_its_files(tmp_path: Path, files: dict[str, Path]) -> None:
    target = tmp_path / "all.tar.gz"
    write(target, {"database": "SQLite"}, files)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with tarfile.open(target) as archive:
        members = archive.getmembers()
        stream = archive.extractfile(MANIFEST)
        assert stream
        manifest = json.load(stream)
    assert [one.name for one in members] == [MANIFEST, "meters/main.toml", "web-key"]
    assert (manifest["database"], manifest["files"]) == ("SQLite", ["meters/main.toml", "web-key"])
    assert {(one.uid, one.gid, one.uname, one.gname) for one in members} == {(0, 0, "", "")}
    assert {one.mode for one in members} == {0o600}


def test_what_exists_is_left_as_it_is(tmp_path: Path, files: dict[str, Path]) -> None:
    target = tmp_path / "all.tar.gz"
    target.write_text("of somebody")
    with pytest.raises(ConfigError, match="already exists: name a new file"):
        write(target, {}, files)
    assert target.read_text() == "of somebody"
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="already exists"):
        write(dangling, {}, files)


def test_what_can_t_be_completed_leaves_nothing(tmp_path: Path, files: dict[str, Path]) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    with pytest.raises((ConfigError, OSError)):
        write(folder / "all.tar.gz", {}, files | {"gone": tmp_path / "gone"})
    assert list(folder.iterdir()) == []


def test_a_program_that_fails_is_named_with_its_last_words_and_gets_no_password_to_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "pg_restore"
    program.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\necho "$PGPASSWORD" > {tmp_path}/password\n'
        "echo first >&2\necho 'the server is too old' >&2\nexit 3\n"
    )
    program.chmod(0o755)
    database = Database("postgresql+psycopg://esquirell:s3cret@db.example/energy")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(ConfigError, match="pg_restore is not installed: sudo apt install"):
        load(database, tmp_path / "dump")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(
        UnavailableError, match=r"pg_restore failed for .*the server is too old$"
    ) as it:
        load(database, tmp_path / "dump")
    assert "s3cret" not in str(it.value) + (tmp_path / "arguments").read_text()
    assert (tmp_path / "password").read_text() == "s3cret\n"
