"""A disk that others have filled: what was kept free takes readings a while longer."""

import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.db_samples import sample

from esquirell.domain.errors import SpoolError
from esquirell.storage.reserve import LAST_BYTES, RESERVE_BYTES, LastResort, Reserve
from esquirell.storage.spool import Spool

DISK_BYTES = 12 * 1024 * 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a small disk, which only root may."""
    options = ["-t", "tmpfs", "-o", f"size={DISK_BYTES}", "esquirell", str(tmp_path)]
    if subprocess.run(["/bin/mount", *options], check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    yield tmp_path
    subprocess.run(["/bin/umount", "--lazy", str(tmp_path)], check=True)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


def test_a_full_disk_takes_readings_a_while_longer(
    disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool, reserve = Spool(disk / "spool.db"), disk / "spool.reserve"
    spool.reserve()
    assert reserve.stat().st_blocks * 512 >= RESERVE_BYTES
    assert reserve.stat().st_mode & 0o777 == 0o600
    filler = fill(disk)
    spool.add([sample("main", 1)])
    spool.add([sample("main", 2)])
    assert not reserve.exists()
    assert caplog.text.count("is full: what was kept free there is used") == 1
    # Others fill it again: now there is nothing left.
    fill(disk)
    with pytest.raises(SpoolError):
        spool.add([sample("main", second) for second in range(3, 2000)])
    assert not reserve.exists()
    filler.unlink()
    found, number = spool.oldest(10)
    assert found == [sample("main", 1), sample("main", 2)]
    spool.forget(number)
    assert reserve.exists()


def test_a_disk_with_room_keeps_its_reserve(disk: Path) -> None:
    reserve = Reserve(disk / "spool.reserve")
    reserve.keep()
    assert not reserve.release()
    assert (disk / "spool.reserve").exists()


def test_a_disk_with_little_room_is_left_alone(disk: Path) -> None:
    (disk / "others").write_bytes(bytes(DISK_BYTES // 2))
    Reserve(disk / "spool.reserve").keep()
    assert not (disk / "spool.reserve").exists()


def test_without_a_disk_nothing_is_kept_or_released(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "gone" / "spool.reserve")
    reserve.keep()
    assert not reserve.release()
    away = Spool(tmp_path / "spool.db", lambda: False)
    away.reserve()
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_ends_on_a_full_disk_leaves_its_readings_to_the_next(disk: Path) -> None:
    spool = Spool(disk / "spool.db")
    spool.reserve()
    filler = fill(disk)
    fill(disk)
    (disk / "spool.reserve").unlink()
    others = fill(disk).rename(disk / "others")
    fill(disk)
    readings = [sample("main", second) for second in range(600)]
    for part in (readings[:500], readings[500:]):
        with pytest.raises(SpoolError):
            spool.add([sample("main", second) for second in range(2000)])
        assert spool.leave(part) == len(part)
    following = Spool(disk / "spool.db")
    following.reserve()
    with pytest.raises(SpoolError):
        following.oldest(10)
    for file in (filler, others):
        file.unlink(missing_ok=True)
    assert following.count() == 600
    found, number = following.oldest(1000)
    assert list(found) == readings
    following.forget(number)
    assert following.count() == 0
    assert following.oldest(10) == ([], 0)


def test_more_than_the_last_resort_takes_is_the_oldest(tmp_path: Path) -> None:
    last = LastResort(tmp_path / "spool.last")
    last.keep()
    texts = [secrets.token_hex(200) for _ in range(2000)]
    kept = last.write(texts)
    assert 0 < kept < 2000
    assert last.read() == texts[-kept:]
    assert (tmp_path / "spool.last").stat().st_size == LAST_BYTES
    assert last.write([]) == 0
    assert last.read() == []


def test_a_last_resort_that_was_written_by_half_is_empty(tmp_path: Path) -> None:
    file = tmp_path / "spool.last"
    last = LastResort(file)
    with pytest.raises(FileNotFoundError):
        last.write(["a reading"])
    last.keep()
    assert last.read() == []
    last.write(["a reading"])
    assert last.read() == ["a reading"]
    content = bytearray(file.read_bytes())
    content[12] ^= 1
    file.write_bytes(content)
    assert last.read() == []
    file.write_bytes(b"short")
    assert last.read() == []
