"""A disk that others have filled: what was kept free takes readings a while longer."""

import os
import secrets
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.db_samples import sample

from esquirell.domain.errors import SpoolError
from esquirell.storage.reserve import HALF_BYTES, RESERVE_BYTES, LastResort, Reserve
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
        assert spool.leave(part) == 0
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


def test_what_a_full_disk_does_not_take_back_holds_up_no_older_reading(disk: Path) -> None:
    spool, reserve = Spool(disk / "spool.db"), disk / "spool.reserve"
    older = [sample("main", second) for second in range(3)]
    spool.add(older)
    spool.reserve()
    spool.leave([sample("main", 9)])
    reserve.unlink()
    filler = fill(disk)
    assert spool.oldest(10) == (older, 3)
    # The other one must be asked for again.
    with pytest.raises(SpoolError):
        spool.oldest(10, 3)
    filler.unlink()
    assert spool.oldest(10, 3)[0] == [sample("main", 9)]


def test_what_is_stored_is_forgotten_on_a_full_disk(disk: Path) -> None:
    spool = Spool(disk / "spool.db")
    spool.add([sample("main", second) for second in range(3)])
    spool.reserve()
    fill(disk)
    spool.forget(2)
    assert spool.count() == 1


def test_processes_that_end_at_the_same_time_erase_nothing_of_each_other(tmp_path: Path) -> None:
    file, found = tmp_path / "spool.db", set[str]()
    Spool(file).reserve()

    def end(meter: str) -> None:
        for second in range(5):
            assert Spool(file).leave([sample(meter, second)]) == 0

    def take_back() -> None:
        readings, number = Spool(file).oldest(1000)
        found.update(f"{reading.meter} {reading.measured_at}" for reading in readings)
        Spool(file).forget(number)

    ends = [threading.Thread(target=end, args=(f"meter-{one}",)) for one in range(4)]
    for thread in ends:
        thread.start()
    while any(thread.is_alive() for thread in ends):
        take_back()
    take_back()
    assert len(found) == 20
    assert Spool(file).count() == 0


def test_only_as_many_of_the_oldest_are_lost_as_there_is_no_room_for(tmp_path: Path) -> None:
    last = LastResort(tmp_path / "spool.last")
    last.keep()
    texts = [secrets.token_hex(500) for _ in range(1500)]
    assert last.add(texts[:500]) == 0
    lost = last.add(texts[500:])
    assert last.read() == texts[lost:]
    assert (tmp_path / "spool.last").stat().st_size == 2 * HALF_BYTES
    # Random digits take about half a byte each.
    assert (1500 - lost) * 500 > 0.8 * HALF_BYTES
    # Another one costs as much as it takes.
    assert last.add(["x"]) <= 1


def test_what_was_taken_is_gone_unless_it_could_not_be_used(tmp_path: Path) -> None:
    last = LastResort(tmp_path / "spool.last")
    last.keep()
    last.add(["a reading"])
    with pytest.raises(SpoolError), last.taken() as texts:
        raise SpoolError(texts[0])
    with last.taken() as texts:
        assert texts == ["a reading"]
    assert last.read() == []


def test_a_file_that_another_process_makes_is_left_alone(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Both looked before either began.
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(Path, "exists", lambda _: False)
    for name, kind in (("spool.reserve", Reserve), ("spool.last", LastResort)):
        (disk / name).write_text("half")
        kind(disk / name).keep()
        assert (disk / name).read_text() == "half"


def test_a_power_cut_during_a_write_costs_nothing_that_was_written_before(tmp_path: Path) -> None:
    file = tmp_path / "spool.last"
    last = LastResort(file)
    with pytest.raises(FileNotFoundError):
        last.add(["a reading"])
    last.keep()
    assert last.read() == []
    for number in (1, 2, 3):
        before = file.read_bytes()
        last.add([f"reading {number}"])
        whole = file.read_bytes()
        changed = [at for at, byte in enumerate(whole) if byte != before[at]]
        for at in (changed[0], changed[-1]):
            file.write_bytes(whole[:at] + before[at : at + 1] + whole[at + 1 :])
            assert last.read() == [f"reading {earlier}" for earlier in range(1, number)]
        file.write_bytes(whole)
    assert last.read() == ["reading 1", "reading 2", "reading 3"]
    file.write_bytes(b"short")
    assert last.read() == []
