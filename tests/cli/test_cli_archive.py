"""`esquirell backup` and `restore`: everything of a machine in one file, and back."""

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cli import Home, esquirell, meter
from support.db_samples import sample
from support.service import KEY

from esquirell.daemon.lock import RunLock
from esquirell.storage.spool import Spool

ALWAYS = ("--since", "2026-01-01", "--json")
BARN = f'name = "barn"\ndevice_id = "bfbarn"\nlocal_key = "{KEY}"\n'


@pytest.fixture
def machine(home: Home) -> Home:
    """A machine with a reading, one that waits, a meter that was added, a password and a token."""
    home.configure(meter())
    home.store([sample("main")])
    meters = home.database.parent / "meters"
    meters.mkdir()
    (meters / "barn.toml").write_text(BARN)
    Spool(home.database.with_name("spool.db")).add([sample("barn")])
    assert esquirell("web", "password").code == 0
    assert esquirell("web", "token", "add", "program").code == 0
    return home


def state(home: Home) -> dict[str, object]:
    return {
        "readings": esquirell("readings", *ALWAYS).json,
        "meters": [one["name"] for one in esquirell("meters", "list", "--json").json],
        "password": esquirell("web", "password", "--json").json,
        "tokens": esquirell("web", "token", "list", "--json").json,
        "waiting": Spool(home.database.with_name("spool.db")).count(),
    }


def test_a_new_card_is_as_the_old_one_was(machine: Home, tmp_path: Path) -> None:
    before = state(machine)
    file = tmp_path / "all.backup"
    said = esquirell("backup", str(file), "--json")
    assert said.code == 0, said
    assert file.stat().st_mode & 0o777 == 0o600
    assert said.json["bytes"] == file.stat().st_size
    assert {
        "database.db",
        "spool.db",
        "meters/barn.toml",
        "web-password",
        "web-tokens.json",
    } <= set(said.json["holds"])
    machine.database.parent.rename(tmp_path / "lost")
    assert esquirell("restore", str(file)).code == 0
    assert state(machine) == before
    assert (machine.database.parent / "meters/barn.toml").stat().st_mode & 0o777 == 0o600
    assert (machine.database.parent / "web-password").stat().st_mode & 0o777 == 0o600


def test_existing_files_are_set_aside(machine: Home, tmp_path: Path) -> None:
    file = tmp_path / "all.backup"
    assert esquirell("backup", str(file)).code == 0
    shed = machine.database.parent / "meters" / "shed.toml"
    shed.write_text(BARN.replace("barn", "shed"))
    said = esquirell("restore", str(file), "--json").json
    assert [one["name"] for one in esquirell("meters", "list", "--json").json] == ["main", "barn"]
    folder = machine.database.parent / "replaced-1"
    assert said["replaced"] == [f"{machine.database}.replaced-1", str(folder)]
    assert (folder / "meters" / "shed.toml").read_text() == BARN.replace("barn", "shed")
    assert (folder / "web-password").exists()


def test_a_machine_that_holds_nothing_yet_keeps_nothing_aside(
    machine: Home, tmp_path: Path
) -> None:
    """As the Home Assistant app, which has started before its backup is restored."""
    file = tmp_path / "all.backup"
    assert esquirell("backup", str(file)).code == 0
    machine.database.parent.rename(tmp_path / "lost")
    machine.database.parent.mkdir()
    Spool(machine.database.with_name("spool.db")).reserve()
    assert machine.database.with_name("spool.db").exists()
    assert esquirell("restore", str(file), "--json").json["replaced"] == []


def test_the_content_of_a_backup_is_listed(machine: Home, tmp_path: Path) -> None:
    file = tmp_path / "all.backup"
    said = esquirell("backup", str(file)).out
    assert (
        f"{file} holds the database, 1 meter, the page's password and tokens and readings" in said
    )
    assert "keep it safe" in said
    restored = esquirell("restore", str(file)).out
    assert "Restored from 20" in restored
    assert machine.database.exists()


def test_an_existing_file_is_not_overwritten(machine: Home, tmp_path: Path) -> None:
    del machine
    file = tmp_path / "all.backup"
    file.write_text("precious")
    assert "already exists" in esquirell("backup", str(file)).sentence
    assert file.read_text() == "precious"
    assert "can't be written" in esquirell("backup", str(tmp_path / "no" / "x")).sentence


@pytest.fixture
def lock(home: Home) -> Iterator[RunLock]:
    lock = RunLock(home.database.with_name("esquirell.db.lock"))
    yield lock
    lock.release()


def test_a_damaged_file_is_restored_unchanged_beside_the_others(
    machine: Home, tmp_path: Path
) -> None:
    damaged = machine.database.parent / "meters" / "shed.toml"
    damaged.write_bytes(b"\xff\x00")
    file = tmp_path / "all.backup"
    assert esquirell("backup", str(file)).code == 0
    machine.database.parent.rename(tmp_path / "lost")
    assert esquirell("restore", str(file)).code == 0
    assert damaged.read_bytes() == b"\xff\x00"
    assert [one["name"] for one in esquirell("meters", "list", "--json").json] == ["main", "barn"]


def test_a_damaged_spool_costs_the_backup_of_nothing_else(machine: Home, tmp_path: Path) -> None:
    spool = machine.database.with_name("spool.db")
    spool.write_bytes(b"no database" * 500)
    said = esquirell("backup", str(tmp_path / "all.backup"), "--json")
    assert said.code == 0, said
    assert "spool.db" not in said.json["holds"]
    assert "spool.db is damaged" in said.json["left_out"][0]
    assert "warning: " in said.err
    assert "spool.db is damaged" in said.err
    assert esquirell("restore", str(tmp_path / "all.backup")).code == 0
    assert not spool.exists()
    spool.mkdir()
    said = esquirell("backup", str(tmp_path / "other.backup"), "--json")
    assert said.code == 0, said
    assert "move it away" in said.json["left_out"][0]


def test_what_a_killed_service_left_of_its_spool_does_not_meet_the_restored_one(
    machine: Home, tmp_path: Path
) -> None:
    """SQLite would apply the journal to whatever file has its name."""
    file = tmp_path / "all.backup"
    assert esquirell("backup", str(file)).code == 0
    journal = machine.database.with_name("spool.db-journal")
    journal.write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(504))
    assert esquirell("restore", str(file)).code == 0
    assert not journal.exists()
    assert (machine.database.parent / "replaced-1" / "spool.db").exists()


def test_after_a_restore_that_was_interrupted_no_service_starts(
    machine: Home, tmp_path: Path
) -> None:
    before, file = state(machine), tmp_path / "all.backup"
    assert esquirell("backup", str(file)).code == 0
    # Where the old files go is taken: the database is in place by then, and nothing else.
    blocked = machine.database.parent / "replaced-1"
    blocked.symlink_to(tmp_path / "nowhere" / "at" / "all")
    assert "can't be written" in esquirell("restore", str(file)).sentence
    refused = esquirell("run")
    assert refused.code == 2
    assert "was interrupted: run it again" in refused.sentence
    found = esquirell("doctor", "--json").json
    assert [one["check"] for one in found if "interrupted" in one["message"]] == ["restore"]
    blocked.unlink()
    assert esquirell("restore", str(file)).code == 0
    assert state(machine) == before
    assert not (machine.database.parent / "restoring").exists()


def test_restore_waits_for_the_end_of_the_service(
    machine: Home, lock: RunLock, tmp_path: Path
) -> None:
    del machine
    file = tmp_path / "all.backup"
    lock.take()
    assert esquirell("backup", str(file)).code == 0
    assert "stop it first" in esquirell("restore", str(file)).sentence


def archive(file: Path, members: dict[str, bytes], kind: bytes = tarfile.REGTYPE) -> str:
    with tarfile.open(file, "w:gz") as made:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.type = len(content), kind
            member.linkname = "/etc/passwd"
            made.addfile(member, io.BytesIO(content))
    return str(file)


MANIFEST = json.dumps({"format": "esquirell-backup", "version": 1}).encode()


@pytest.mark.parametrize(
    "name",
    ["../evil", "/evil", "meters/../../evil", "meters/a/b.toml", ".hidden", "meters/.x", "a b"],
)
def test_an_archive_that_would_write_elsewhere_is_refused(
    machine: Home, tmp_path: Path, name: str
) -> None:
    before = state(machine)
    file = archive(tmp_path / "evil", {"manifest.json": MANIFEST, name: b"evil"})
    said = esquirell("restore", file)
    assert said.code == 2
    assert f"it contains {name!r}" in said.sentence
    assert state(machine) == before
    assert not list(tmp_path.rglob("evil.*"))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE]
)
def test_an_archive_holds_files_and_nothing_else(
    machine: Home, tmp_path: Path, kind: bytes
) -> None:
    del machine
    assert esquirell("restore", archive(tmp_path / "evil", {"web-key": b""}, kind)).code == 2


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"database.db": b""}, "it has no manifest"),
        ({"manifest.json": b"[]"}, "it has no manifest"),
        ({"manifest.json": b"[" * 50_000}, "it has no manifest"),
        ({"manifest.json": MANIFEST.replace(b"1", b"9")}, "a newer version"),
        ({"manifest.json": MANIFEST, "database.dump": b""}, "names another kind"),
        (
            {"manifest.json": MANIFEST, "database.db": b"no database"},
            "damaged or not an SQLite file",
        ),
    ],
)
def test_a_file_that_is_no_backup_changes_nothing(
    machine: Home, tmp_path: Path, members: dict[str, bytes], said: str
) -> None:
    before = state(machine)
    assert said in esquirell("restore", archive(tmp_path / "odd", members)).sentence
    text = tmp_path / "text"
    text.write_text("no archive")
    assert "is not a backup of esquirell" in esquirell("restore", str(text)).sentence
    assert state(machine) == before
