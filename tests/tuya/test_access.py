"""When a device may be asked again: locks, pauses between attempts, and lines that it closes."""

import os
import time
from pathlib import Path

import pytest

from esquirell.tuya.lan.access import (
    BORNE_S,
    FIRST_S,
    LONGEST_RETRY_S,
    LONGEST_S,
    REMEMBERED_LOSSES,
    TOGETHER_S,
    WITHIN_S,
    YOUNG_S,
    DeviceLock,
    Losses,
    Reconnect,
    Suspension,
)

DEVICE = "eb0123456789abcdefghij"


def note_in(folder: Path) -> str:
    (file,) = folder.iterdir()
    assert DEVICE not in file.name
    return file.read_text(encoding="ascii")


def test_a_device_that_was_never_asked_is_asked_at_once(tmp_path: Path) -> None:
    lock = DeviceLock(tmp_path, DEVICE)
    assert lock.acquire()
    assert lock.acquire()
    assert lock.gap_left(10.0) == 0.0
    assert lock.version == ""
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    other = DeviceLock(tmp_path, "another")
    assert other.acquire()


def test_the_next_process_keeps_the_gap_to_the_last_contact(tmp_path: Path) -> None:
    first, second = DeviceLock(tmp_path, DEVICE), DeviceLock(tmp_path, DEVICE)
    assert first.acquire()
    assert not second.acquire()
    first.note_contact()
    assert 9.0 < first.gap_left(10.0) <= 10.0
    first.release()
    first.release()
    assert note_in(tmp_path) == "-\n"
    assert second.acquire()
    assert second.version == ""
    assert 9.0 < second.gap_left(10.0) <= 10.0
    assert second.gap_left(0.0) == 0.0


@pytest.mark.parametrize(
    ("version", "later", "noted"), [("3.4", "3.5", "3.5\n"), ("3.5", "", "-\n")]
)
def test_the_last_protocol_that_was_found_is_noted(
    tmp_path: Path, version: str, later: str, noted: str
) -> None:
    for found in (version, later):
        lock = DeviceLock(tmp_path, DEVICE)
        assert lock.acquire()
        lock.version = found
        lock.release()
    assert note_in(tmp_path) == noted


@pytest.mark.parametrize("note", ["3.6", "2.9", "-", "", "3.4 3.5"])
def test_a_stored_note_without_a_protocol_is_ignored(tmp_path: Path, note: str) -> None:
    first = DeviceLock(tmp_path, DEVICE)
    assert first.acquire()
    first.release()
    (file,) = tmp_path.iterdir()
    file.write_text(note, encoding="ascii")
    os.utime(file, (time.time() + 5000,) * 2)
    second = DeviceLock(tmp_path, DEVICE)
    assert second.acquire()
    assert second.version == ""
    # A clock that was set back since makes nobody wait for longer than the gap.
    assert second.gap_left(10.0) == (10.0 if note else 0.0)


def test_a_missing_folder_does_not_prevent_reading(tmp_path: Path) -> None:
    lock = DeviceLock(tmp_path / "gone", DEVICE)
    assert lock.acquire()
    lock.release()
    lock.abandon()


def test_a_lock_that_points_elsewhere_is_refused(tmp_path: Path) -> None:
    lock = DeviceLock(tmp_path, DEVICE)
    assert lock.acquire()
    lock.abandon()
    (file,) = tmp_path.iterdir()
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        DeviceLock(tmp_path, DEVICE).acquire()
    assert not (tmp_path / "elsewhere").exists()


def test_a_line_is_opened_again_later_and_later_until_it_stands() -> None:
    again = Reconnect(1000.0)
    assert 1000.5 <= again.at <= 1001.5
    expected = [1, 2, 4, 8, 16, 32, LONGEST_RETRY_S, LONGEST_RETRY_S]
    for wait_s in expected:
        again.attempted(2000.0)
        assert 0.5 * wait_s <= again.at - 2000 <= 1.5 * wait_s
    waits = []
    for _ in range(200):
        again.soon(0.0)
        waits.append(again.at)
    # Never many at once: they are spread evenly.
    assert 0.5 <= min(waits) < 0.7
    assert 1.3 < max(waits) <= 1.5
    again.soon(3000.0)
    assert 3000.5 <= again.at <= 3001.5
    again.succeeded()
    again.attempted(4000.0)
    assert 4000.5 <= again.at <= 4001.5


def test_lines_that_end_together_were_cut_by_the_network() -> None:
    losses = Losses()
    losses.note(100.0, "a")
    assert not losses.others(100.0, "a")
    assert losses.others(100.0, "b")
    assert losses.others(100.0 - TOGETHER_S + 0.1, "b")
    assert losses.others(100.0 + TOGETHER_S - 0.1, "b")
    assert not losses.others(100.0 + TOGETHER_S, "b")
    losses.note(101.0, "b")
    assert losses.others(100.0, "b")
    for number in range(REMEMBERED_LOSSES):
        losses.note(500.0, f"other {number}")
    assert not losses.others(100.0, "b")


def close_young(one: Suspension, *moments: float) -> list[bool]:
    return [one.closed(moment, YOUNG_S - 1) for moment in moments]


def test_three_young_lines_within_ten_minutes_suspend() -> None:
    one = Suspension()
    assert not one.active(0.0)
    assert close_young(one, 1000, 1100, 1000 + WITHIN_S) == [False, False, False]
    assert close_young(one, 1101 + WITHIN_S) == [False]
    assert close_young(one, 1102 + WITHIN_S) == [True]
    ends = 1102 + WITHIN_S + FIRST_S
    assert one.until == ends
    assert one.active(ends - 1)
    assert not one.active(ends)


def test_each_suspension_is_twice_as_long_up_to_a_day_until_a_line_lived_for_an_hour() -> None:
    one, now, took = Suspension(), 0.0, []
    for _ in range(10):
        assert close_young(one, now, now + 1, now + 2) == [False, False, True]
        took.append(one.until - now - 2)
        now = one.until
    assert took == [min(FIRST_S * 2**n, LONGEST_S) for n in range(10)]
    assert not one.closed(now, BORNE_S - 1)
    close_young(one, now, now + 1, now + 2)
    assert one.until - now - 2 == LONGEST_S
    now = one.until
    assert not one.closed(now, BORNE_S)
    close_young(one, now, now + 1, now + 2)
    assert one.until - now - 2 == FIRST_S


def test_a_line_that_lived_for_two_minutes_counts_for_nothing() -> None:
    one = Suspension()
    assert [one.closed(now, YOUNG_S) for now in range(5)] == [False] * 5
    assert not one.note(10.0, YOUNG_S)
    assert not one.judge(20.0, lambda _: False)


def test_a_closing_is_judged_a_moment_later_and_once() -> None:
    one, asked = Suspension(), []

    def others(moment: float) -> bool:
        asked.append(moment)
        return False

    assert close_young(one, 1, 2) == [False, False]
    assert one.note(10.0, 5.0)
    assert not one.judge(10.0 + TOGETHER_S - 0.1, others)
    assert asked == []
    assert one.judge(10.0 + TOGETHER_S, others)
    assert asked == [10.0]
    assert not one.judge(20.0, others)
    assert one.note(30.0, 5.0)
    assert not one.judge(30.0, others, at_once=True)
    assert asked == [10.0, 30.0]


def test_a_line_that_was_cut_with_others_counts_for_nothing() -> None:
    one = Suspension()
    close_young(one, 1, 2)
    assert one.note(10.0, 5.0)
    assert not one.judge(20.0, lambda _: True)
    assert close_young(one, 30) == [True]
