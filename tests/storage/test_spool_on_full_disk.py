"""A disk that others have filled: the free pages of the spool take readings a while longer."""

import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from support.db_samples import sample

from esquirell.domain.device import Instrument
from esquirell.domain.errors import SpoolError
from esquirell.domain.reading import Reading
from esquirell.domain.undated import Undated
from esquirell.storage.spool import ROOM_PAGES, Spool

DISK_BYTES = 24 * 1024 * 1024
ROOM_BYTES = ROOM_PAGES * 4096
# The tables, a journal, and what several processes may have made at the same time.
A_LITTLE = 256 * 1024
MANY = {f"current_{number}": 1.5 for number in range(200)}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a small disk, which only root may."""
    options = ["-t", "tmpfs", "-o", f"size={DISK_BYTES}", "esquirell", str(tmp_path)]
    if subprocess.run(["/bin/mount", *options], check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    yield tmp_path
    subprocess.run(["/bin/umount", "--lazy", str(tmp_path)], check=True)


def fill(disk: Path) -> None:
    with (disk / "filler").open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def samples(begin: int, end: int) -> list[Reading]:
    return [sample("main", second) for second in range(begin, end)]


def test_a_full_disk_takes_readings_a_while_longer(disk: Path) -> None:
    spool = Spool(disk / "spool.db")
    spool.reserve()
    for _ in range(2):
        fill(disk)
        for second in range(20):
            spool.add(samples(second, second + 1))
        spool.add(samples(20, 2000))
        with pytest.raises(SpoolError):
            spool.add([replace(one, values=MANY) for one in samples(2000, 4000)])
        # As another process finds them after the end of this one.
        found, number = Spool(disk / "spool.db").oldest(3000)
        assert found == samples(0, 2000)
        # What is stored makes room again, on a disk that is still full.
        spool.forget(number)
        assert spool.count() == 0


def test_readings_without_a_time_find_room_as_well(disk: Path) -> None:
    spool = Spool(disk / "spool.db")
    spool.reserve()
    fill(disk)
    marks = [Undated("boot", float(second), {}, Instrument("meter")) for second in range(500)]
    spool.add([replace(sample("main"), undated=mark) for mark in marks])
    assert spool.count() == 500


def test_a_disk_with_little_room_is_left_alone(disk: Path) -> None:
    (disk / "others").write_bytes(bytes(DISK_BYTES // 2))
    Spool(disk / "spool.db").reserve()
    assert not (disk / "spool.db").exists()


def test_without_a_disk_nothing_is_reserved(tmp_path: Path) -> None:
    Spool(tmp_path / "gone" / "spool.db").reserve()
    Spool(tmp_path / "spool.db", lambda: False).reserve()
    assert list(tmp_path.iterdir()) == []


def test_processes_that_begin_at_the_same_time_reserve_no_more_than_one(tmp_path: Path) -> None:
    file = tmp_path / "spool.db"
    processes = [threading.Thread(target=Spool(file).reserve) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    Spool(file).reserve()
    assert ROOM_BYTES <= file.stat().st_size < ROOM_BYTES + A_LITTLE
    assert file.stat().st_blocks * 512 >= ROOM_BYTES


def test_a_file_that_gave_free_pages_back_keeps_them_from_now_on(tmp_path: Path) -> None:
    file = tmp_path / "spool.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA auto_vacuum = FULL")
        connection.execute("CREATE TABLE any (body)")
    Spool(file).reserve()
    assert ROOM_BYTES <= file.stat().st_size < ROOM_BYTES + A_LITTLE
