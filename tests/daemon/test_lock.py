"""One service for each state directory, with a name that it keeps."""

import os
import shutil
import threading
from pathlib import Path

import pytest
from support.redis_server import RedisProcess

from esquirell.broker.connection import Address, connect
from esquirell.broker.lease import Lease
from esquirell.daemon.lock import AlreadyRunningError, RunLock
from esquirell.daemon.preparing import persistent_name
from esquirell.daemon.service_locks import RedisClaim, redis_owner, rival_service
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


def test_a_lock_shows_whether_its_holder_is_up(tmp_path: Path) -> None:
    lock, other = RunLock(tmp_path / "lock"), RunLock(tmp_path / "lock")
    assert not other.is_up()
    lock.take()
    assert not other.is_up()
    lock.note_up()
    assert other.is_up()
    (tmp_path / "lock").unlink()
    lock.keep()
    assert other.is_up()
    lock.release()
    other.take()
    assert not lock.is_up()
    other.release()


def test_a_lock_is_not_renewed_while_its_file_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, truncate = RunLock(tmp_path / "lock"), os.ftruncate
    keeper = threading.Thread(target=lock.keep)
    interrupted: list[bool] = []

    def renew_first(descriptor: int, length: int) -> None:
        monkeypatch.undo()
        keeper.start()
        keeper.join(0.5)
        # Else the descriptor is closed, and its number may be that of any file.
        interrupted.append(keeper.is_alive())
        truncate(descriptor, length)

    lock.take()
    (tmp_path / "lock").unlink()
    monkeypatch.setattr(os, "ftruncate", renew_first)
    lock.note_up()
    keeper.join(20)
    assert interrupted == [True]
    assert lock.is_up()
    lock.release()


def test_two_simultaneous_checks_do_not_see_each_other(tmp_path: Path) -> None:
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


def test_a_lock_taken_meanwhile_is_not_taken_over(tmp_path: Path) -> None:
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


def claim_of(server: RedisProcess, owner: str) -> RedisClaim:
    client = connect(Address(server.url))
    lease = Lease(client, "service", owner, quiet=True)
    return RedisClaim(lambda: lease, rival_service)


def test_only_one_of_two_services_with_different_databases_gets_a_redis(
    server: RedisProcess, caplog: pytest.LogCaptureFixture
) -> None:
    first, again, second = (
        claim_of(server, owner) for owner in ("one", "one", "other 8:1 postgresql://house/other")
    )
    first.take()
    # After a restart it is still its own.
    again.take()
    with pytest.raises(AlreadyRunningError, match=r"another number at the end of redis\.url"):
        second.take(patience_s=0)
    first.keep()
    assert first.rival is None
    # A rival that came in while Redis forgot everything is named, and ends nothing.
    server.client.flushall()
    second.take(patience_s=0)
    first = claim_of(server, "one")
    for _ in range(2):
        first.keep()
        assert first.rival
    said = "another esquirell run, with the database postgresql://house/other, uses this Redis"
    assert caplog.text.count(said) == 1
    second.release()
    first.keep()
    assert first.rival is None


def test_a_copy_of_a_service_in_another_container_is_another_one(
    server: RedisProcess, tmp_path: Path
) -> None:
    """Its name, its machine and the path of its database are the same."""
    files = (tmp_path / "one", tmp_path / "copy")
    for file in files:
        file.write_bytes(b"the same")
    owners = [redis_owner("name-boot", file, "/data/the house.db") for file in files]
    first, again, copy = (claim_of(server, owner) for owner in (owners[0], *owners))
    first.take()
    again.take(patience_s=0)
    with pytest.raises(AlreadyRunningError, match=r"with the database /data/the house\.db, uses"):
        copy.take(patience_s=0)


def test_a_rival_of_an_older_version_is_named_without_its_database(server: RedisProcess) -> None:
    claim_of(server, "an-older-version").take()
    with pytest.raises(AlreadyRunningError, match="another esquirell run uses this Redis"):
        claim_of(server, redis_owner("name", None, "other")).take(patience_s=0)


def test_a_redis_that_is_away_keeps_no_service_from_its_start(tmp_path: Path) -> None:
    stopped = RedisProcess(tmp_path)
    claim = claim_of(stopped, "one")
    claim.take(patience_s=0)
    claim.keep()
    assert claim.rival is None
