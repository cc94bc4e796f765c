"""One service for each state directory, with a name that it keeps."""

import shutil
import threading
from pathlib import Path

import pytest

from esquirell.daemon.lock import AlreadyRunningError, RunLock
from esquirell.daemon.roles import persistent_name
from esquirell.domain.errors import ConfigError


def test_a_lock_is_held_once_and_ends_with_its_holder(tmp_path: Path) -> None:
    one, other = RunLock(tmp_path / "lock"), RunLock(tmp_path / "lock")
    assert not other.held()
    one.take()
    assert other.held()
    with pytest.raises(AlreadyRunningError, match="another service uses"):
        other.take()
    one.release()
    other.take()
    other.release()


def test_two_who_ask_at_once_do_not_see_each_other(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    seen: list[bool] = []

    def ask() -> None:
        seen.extend(RunLock(tmp_path / "lock").held() for _ in range(300))

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(20)
    assert len(seen) == 900
    assert not any(seen)


def test_a_lock_is_taken_again_on_what_was_put_in_place_of_its_file(tmp_path: Path) -> None:
    home, aside = tmp_path / "data", tmp_path / "aside"
    home.mkdir()
    lock, other = RunLock(home / "lock"), RunLock(home / "lock")
    lock.take()
    home.rename(aside)
    lock.keep()
    assert not home.exists()
    shutil.copytree(aside, home)
    assert not other.held()
    lock.keep()
    assert other.held()
    (home / "lock").unlink()
    lock.keep()
    assert other.held()
    lock.release()
    assert not other.held()


def test_who_took_the_lock_meanwhile_keeps_it(tmp_path: Path) -> None:
    lock, other = RunLock(tmp_path / "lock"), RunLock(tmp_path / "lock")
    lock.take()
    (tmp_path / "lock").unlink()
    other.take()
    for _ in range(2):
        with pytest.raises(AlreadyRunningError):
            lock.keep()
    other.release()
    lock.keep()
    assert other.held()
    lock.release()


@pytest.mark.parametrize("before", [None, b"", b"x", b"\xff\x00", b"0" * 32])
def test_a_service_keeps_its_name_unless_it_is_damaged(
    tmp_path: Path, before: bytes | None
) -> None:
    file = tmp_path / "instance"
    if before is not None:
        file.write_bytes(before)
    name = persistent_name(file)
    assert len(name) == 32
    assert persistent_name(file) == file.read_text() == name


def test_a_service_starts_without_its_name_and_on_a_disk_that_refuses(tmp_path: Path) -> None:
    (tmp_path / "instance").mkdir()
    assert len(persistent_name(tmp_path / "instance")) == 32
    assert (tmp_path / "instance.damaged-1").is_dir()
    assert len(persistent_name(Path("/proc/instance"))) == 32


def test_a_lock_that_can_not_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="state_dir"):
        RunLock(tmp_path / "file" / "lock").take()
