"""Readings that wait on the disk."""

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.db_samples import sample

from esquirell.domain.device import Instrument
from esquirell.domain.errors import SpoolError
from esquirell.domain.judgement import judge
from esquirell.domain.reading import Reading
from esquirell.domain.undated import Undated
from esquirell.storage.spool import ROOM_PAGES, Spool


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool.db")


def test_nothing_is_made_before_something_waits(spool: Spool, tmp_path: Path) -> None:
    assert spool.count() == 0
    assert spool.oldest(10) == ([], 0)
    assert list(tmp_path.iterdir()) == []


def test_spooled_readings_are_returned_in_order_and_complete(spool: Spool) -> None:
    taken = [
        sample("main", second, voltage=230.1 + second, energy_import_pv1=1.5) for second in (1, 2)
    ]
    spool.add(taken)
    spool.add([sample("garage", 3)])
    assert spool.count() == 3
    first, reach = spool.oldest(2)
    assert first == taken
    spool.forget(reach)
    assert [one.meter for one in spool.oldest(10)[0]] == ["garage"]
    spool.forget(spool.oldest(10)[1])
    assert spool.count() == 0


def test_a_time_keeps_its_milliseconds(spool: Spool) -> None:
    at = datetime(2026, 11, 22, 10, 15, 0, 123000, tzinfo=UTC)
    spool.add([Reading("main", at, {"voltage": 1.0})])
    assert spool.oldest(1)[0][0].measured_at == at


def test_the_ledger_of_a_reading_waits_with_it(spool: Spool) -> None:
    at = datetime(2026, 11, 22, 10, 15, 0, 123000, tzinfo=UTC)
    reading = Reading("main", at, {"energy_import": 5.0})
    judged, ledger = judge(reading, None, Instrument("source", ["energy_import"]))
    spool.add([replace(judged, ledger=ledger)])
    assert spool.oldest(1)[0][0].ledger == ledger


def test_what_a_reading_says_beside_its_values_waits_with_it(spool: Spool) -> None:
    at = datetime(2026, 11, 22, 10, 15, 0, 123000, tzinfo=UTC)
    reading = Reading(
        "main",
        at,
        {"energy_import": 5.0},
        holds_s=180,
        begins=frozenset({"energy_import"}),
        ranges={"voltage_a": (229.5, 231.0)},
        retracted={"energy_import": at - timedelta(minutes=1)},
    )
    spool.add([reading])
    assert spool.oldest(1)[0] == [reading]


def test_what_a_meter_added_waits_for_the_time_with_its_reading(spool: Spool) -> None:
    at = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
    instrument = Instrument("source", ["active_power"], adds=["energy_import"])
    undated = Undated("boot", 7.5, {"active_power": 5.0}, instrument)
    increments = {"energy_import": 0.1}
    reading = Reading("main", at, {"active_power": 5.0}, increments=increments, interrupted=True)
    spool.add([replace(reading, undated=undated)])
    spool.date({mark.number: at for mark in spool.undated()})
    ((_, found),) = spool.dated(10)
    assert (found.increments, found.interrupted) == (increments, True)
    assert found.undated == undated


def test_a_reading_that_two_polls_bring_waits_for_the_time_once(spool: Spool) -> None:
    at = datetime(1970, 1, 1, 0, 1, tzinfo=UTC)
    instrument = Instrument("source", ["active_power"])

    def readings(uptime_s: float) -> list[Reading]:
        undated = Undated("boot", uptime_s, {"active_power": 5.0}, instrument)
        plain = [Reading(meter, at, {"active_power": 5.0}) for meter in ("main", "pump")]
        return [replace(reading, undated=undated) for reading in plain]

    for uptime_s in (7.5, 7.5, 8.5):
        spool.add(readings(uptime_s))
    assert [mark.uptime_s for mark in spool.undated()] == [7.5, 7.5, 8.5, 8.5]


def test_it_is_readable_by_its_owner_only_and_shrinks(spool: Spool, tmp_path: Path) -> None:
    values = {f"current_{number}": 1.5 for number in range(200)}
    spool.add([replace(sample("main", second), values=values) for second in range(2500)])
    file = tmp_path / "spool.db"
    assert file.stat().st_mode & 0o077 == 0
    full = file.stat().st_size
    spool.forget(spool.oldest(2500)[1])
    assert ROOM_PAGES * 4096 <= file.stat().st_size < full / 2


def test_it_is_shared_among_threads_and_processes(spool: Spool, tmp_path: Path) -> None:
    other = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "from pathlib import Path\n"
        "from support.db_samples import sample\n"
        "from esquirell.storage.spool import Spool\n"
        f"for n in range(20): Spool(Path({str(tmp_path / 'spool.db')!r})).add([sample('other', n)])"
    )
    child = subprocess.Popen([sys.executable, "-c", other], cwd=Path(__file__).parents[2])
    threads = [
        threading.Thread(target=lambda n=n: spool.add([sample(f"m{n}", s) for s in range(5)]))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert child.wait(60) == 0
    assert spool.count() == 60


def test_a_damaged_spool_is_set_aside(spool: Spool, tmp_path: Path) -> None:
    file = tmp_path / "spool.db"
    file.write_bytes(b"no database " * 1000)
    file.chmod(0o600)
    with pytest.raises(SpoolError, match="can't be used"):
        spool.add([sample("main")])
    spool.add([sample("main")])
    assert spool.count() == 1
    assert (tmp_path / "spool.db.damaged-1").read_bytes() == b"no database " * 1000


NO_READINGS = ["", "{", "null", "[]", "7", '{"meter": "main"}', '{"meter": 1, "at": 2}']


def damage(file: Path, table: str, numbers: range, body: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        change = f"UPDATE {table} SET body = ? WHERE id BETWEEN ? AND ?"  # noqa: S608 - texts of ours
        connection.execute(change, (body, numbers.start, numbers.stop - 1))


def set_aside(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return [body for (body,) in connection.execute("SELECT body FROM unreadable")]


@pytest.mark.parametrize("body", NO_READINGS)
def test_rows_that_are_no_readings_are_kept_named_and_hold_up_none(
    spool: Spool, tmp_path: Path, caplog: pytest.LogCaptureFixture, body: str
) -> None:
    spool.add([sample("main", second) for second in range(6)])
    damage(tmp_path / "spool.db", "waiting", range(1, 4), body)
    damage(tmp_path / "spool.db", "waiting", range(5, 6), body)
    # Of the first two none is a reading: that does not end it.
    found, reach = spool.oldest(2)
    assert [reading.measured_at.second for reading in found] == [3]
    spool.forget(reach)
    assert [reading.measured_at.second for reading in spool.oldest(10)[0]] == [5]
    assert spool.count() == 1
    assert set_aside(tmp_path / "spool.db") == [body] * 4
    assert "spool.db can't be stored and were moved to its table unreadable" in caplog.text


def test_a_row_without_a_time_that_is_no_reading_holds_up_none(
    spool: Spool, tmp_path: Path
) -> None:
    at = datetime(1970, 1, 1, 0, 1, tzinfo=UTC)
    instrument = Instrument("source", ["active_power"])
    for uptime_s in (1.0, 2.0):
        undated = Undated("boot", uptime_s, {"active_power": 5.0}, instrument)
        spool.add([Reading("main", at, {"active_power": 5.0}, undated=undated)])
    spool.date({mark.number: at for mark in spool.undated()})
    damage(tmp_path / "spool.db", "undated", range(1, 2), "{")
    assert [number for number, _ in spool.dated(10)] == [2]
    assert set_aside(tmp_path / "spool.db") == ["{"]


def test_what_waits_is_on_the_disk_before_it_is_said_to_be(spool: Spool) -> None:
    spool.add([sample("main", 1)])
    with spool.connect() as connection:
        # 2 is FULL: https://www.sqlite.org/pragma.html#pragma_synchronous
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_without_its_directory_it_takes_nothing(tmp_path: Path) -> None:
    """What is written below the place where its disk was mounted is out of reach later."""
    is_ours = True
    spool = Spool(tmp_path / "spool.db", lambda: is_ours)
    is_ours = False
    with pytest.raises(SpoolError, match="mount its disk again"):
        spool.add([sample("main")])
    assert list(tmp_path.iterdir()) == []
    is_ours = True
    spool.add([sample("main")])
    assert spool.count() == 1


def test_a_folder_in_its_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "spool.db").mkdir()
    with pytest.raises(SpoolError, match=r"spool\.db is not a file.*: move it away"):
        Spool(tmp_path / "spool.db").add([sample("main")])


def test_a_disk_that_fails_to_look_is_a_spool_that_fails() -> None:
    # As with a disk that gives errors: the system can't even say whether the file is there.
    spool = Spool(Path("/", "x" * 300, "spool.db"))
    for look in (spool.count, lambda: spool.oldest(1), spool.undated, lambda: spool.dated(1)):
        with pytest.raises(SpoolError, match="too long"):
            look()
