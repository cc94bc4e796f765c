"""A process that is killed while it works up statistics leaves none half written."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from support.cli import Home, esquirell, meter
from support.waiting import eventually

from esquirell.domain.reading import MeterStatus, Reading

BEGIN = datetime(2025, 11, 1, tzinfo=UTC)
COUNT = 20_000
KEYS = ("energy_import", "active_power")


@pytest.fixture
def house(home: Home) -> Home:
    """Two weeks of readings, one a minute, with their statistics."""
    home.configure(meter())
    readings = [
        Reading(
            "main",
            BEGIN + timedelta(minutes=number),
            {"energy_import": 100 + number / 100, "active_power": 600.0 + number % 7},
        )
        for number in range(COUNT)
    ]
    home.store(readings, {"main": MeterStatus(keys=KEYS)})
    assert esquirell("db", "rollup").code == 0
    return home


def rows(home: Home, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(home.database, timeout=30)) as connection:
        return connection.execute(query).fetchall()


def test_a_rollup_that_was_killed_resumes_with_the_same_result(house: Home) -> None:
    whole = rows(house, "SELECT * FROM statistic ORDER BY resolution, start")
    (done,) = rows(house, "SELECT done_to FROM rollup")
    assert len(whole) > COUNT // 60
    command = [sys.executable, "-m", "esquirell", "db", "rollup", "--since", "2025-11-01"]
    for _ in range(3):
        with subprocess.Popen(command, cwd=house.path, stdout=subprocess.DEVNULL) as process:
            eventually(
                lambda process=process: (  # type: ignore[misc]  # bound at once
                    rows(house, "SELECT done_to FROM rollup") != [done]
                    or process.poll() is not None
                )
            )
            process.kill()
        assert process.returncode == -9, "it was over before it could be killed"
        assert esquirell("db", "rollup").code == 0
        assert rows(house, "SELECT * FROM statistic ORDER BY resolution, start") == whole
        assert rows(house, "PRAGMA integrity_check") == [("ok",)]
