"""A year of minutes of one three-phase meter: size, rollup and query times.

`python benchmarks/history.py [--readings N] [--url URL]`: on an SQLite file of its own, or in
an empty PostgreSQL database that the URL names. Prints one line per figure.
"""

import argparse
import gc
import itertools
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import NamedTuple

from sqlalchemy import text

from esquirell.__main__ import LOADED_OBJECTS
from esquirell.daemon.resources import settle
from esquirell.domain.periods import Calendar
from esquirell.domain.reading import Reading
from esquirell.domain.statistic import Periods
from esquirell.services.statistics import Statistics
from esquirell.storage.database import Database
from esquirell.storage.maintenance.migrate import upgrade
from esquirell.storage.readings import Readings
from esquirell.storage.statistics.store import Statistics as Store

YEAR = 525_600
START = datetime(2025, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
METER = "main"
BATCH = 2_000
REPEATS = 11
ZONE = "Europe/Warsaw"
# As benchmarks/service.py configures it.
SERVICE_ZONE = "UTC"


class Figure(NamedTuple):
    """One figure, what it is to be at most, and its unit."""

    name: str
    value: float
    limit: float
    unit: str

    def line(self) -> str:
        """Write the figure for people."""
        mark = "" if self.value <= self.limit else "  MISSED"
        return f"{self.name:36} {self.value:9.2f} {self.unit:6} (at most {self.limit:g}){mark}"


def values(chance: random.Random, number: int) -> dict[str, float]:
    """Make what a PC321 sends: 28 values, with counters that rise."""
    found = {"frequency": 50.0, "temperature": chance.randint(150, 400) / 10}
    for suffix in ("", "_a", "_b", "_c"):
        found |= {
            f"current{suffix}": chance.randint(100, 16_000) / 1000,
            f"active_power{suffix}": float(chance.randint(-4000, 4000)),
            f"reactive_power{suffix}": float(chance.randint(0, 800)),
            f"energy_import{suffix}": round(4000 + number * 0.01, 2),
            f"energy_export{suffix}": round(800 + number * 0.01, 2),
        }
    for suffix in ("_a", "_b", "_c"):
        found |= {
            f"voltage{suffix}": chance.randint(2200, 2450) / 10,
            f"power_factor{suffix}": chance.randint(10, 100) / 100,
        }
    return found


def readings(count: int, first: int = 0, start: datetime = START) -> Iterator[Reading]:
    """Make readings, one a minute."""
    chance = random.Random(1)
    for number in range(first, first + count):
        yield Reading(METER, start + number * MINUTE, values(chance, number))


def fill(store: Readings, count: int, start: datetime = START) -> None:
    """Store readings in transactions of some thousand."""
    stream = readings(count, start=start)
    while batch := list(itertools.islice(stream, BATCH)):
        store.add(batch, {})


def timed(work: Callable[[], object]) -> float:
    """Return the median of some runs, in milliseconds."""
    taken = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1000)
    return median(taken)


def size_of(database: Database) -> int:
    """Return the bytes of the readings on disk."""
    with database.read() as connection:
        if database.file is None:
            return int(connection.scalar(text("SELECT pg_total_relation_size('reading')")) or 0)
        connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    return database.file.stat().st_size


def measure(url: str, count: int) -> Iterator[Figure]:
    """Fill a database, and return its figures."""
    upgrade(url)
    database = Database(url)
    raw, store = Readings(database), Store(database, ZONE)
    fill(raw, count)
    yield Figure("bytes per reading", size_of(database) / count, 300, "bytes")
    # As in a service that has started, where this is done.
    settle()
    now = [START + count * MINUTE]
    statistics = Statistics(store, Calendar(ZONE), lambda: now[-1])
    began = time.perf_counter()
    statistics.rollup()
    yield Figure("rollup of all", time.perf_counter() - began, 20, "s")
    yield Figure("incremental rollup", _incremental(raw, statistics, now), 5, "ms")
    # And as in a command that shows them.
    gc.set_threshold(LOADED_OBJECTS)
    yield from _queries(raw, store, START + count * MINUTE)
    database.close()


def filled(url: str, count: int) -> None:
    """Fill a database for a service with readings until now and with their statistics."""
    upgrade(url)
    database = Database(url)
    now = datetime.now(UTC)
    fill(Readings(database), count, now - MINUTE * count)
    Statistics(Store(database, SERVICE_ZONE), Calendar(SERVICE_ZONE), lambda: now).rollup()
    database.close()


def _incremental(raw: Readings, statistics: Statistics, now: list[datetime]) -> float:
    """Let minutes pass, each with a reading, and time what follows it."""
    taken = []
    for _ in range(2 * REPEATS):
        raw.add(list(readings(1, (now[-1] - START) // MINUTE)), {})
        now.append(now[-1] + MINUTE)
        began = time.perf_counter()
        statistics.steps([METER])
        taken.append((time.perf_counter() - began) * 1000)
    return median(taken)


def _queries(raw: Readings, store: Store, end: datetime) -> Iterator[Figure]:
    day, month, year = (timedelta(days=days) for days in (1, 31, 366))
    last_day = timed(lambda: list(raw.query([METER], end - day, end)))
    yield Figure("last 24 hours, raw", last_day, 15, "ms")
    for name, span, keys in (
        ("a year by day", Periods("day", end - year, end), "all keys"),
        ("a month by hour", Periods("hour", end - month, end), "all keys"),
    ):
        figure = timed(lambda span=span: list(store.query([METER], span)))  # type: ignore[misc] # bound at once
        yield Figure(f"{name}, {keys}", figure, 10, "ms")


def main() -> int:
    """Print all figures; 1 when one is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readings", type=int, default=YEAR)
    parser.add_argument("--url")
    parser.add_argument("--fill", action="store_true", help="store them, measure nothing")
    given = parser.parse_args()
    if given.fill:
        filled(given.url, given.readings)
        return 0
    missed = False
    with tempfile.TemporaryDirectory() as folder:
        url = given.url or f"sqlite:///{Path(folder) / 'history.db'}"
        for figure in measure(url, given.readings):
            print(figure.line(), flush=True)
            missed |= figure.value > figure.limit
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
