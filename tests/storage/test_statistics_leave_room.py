"""Statistics that have much to do leave others a moment to write: SQLite has no queue for them."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from esquirell.domain.periods import Calendar
from esquirell.domain.reading import Reading
from esquirell.services.statistics import BREATH_S, LONG_S, Statistics
from esquirell.storage.database import Database
from esquirell.storage.readings import Readings
from esquirell.storage.statistics import store

METERS = ("flat-1", "flat-2", "flat-3")
QUARTER = timedelta(minutes=15)
VALUES = {"energy_import": 100.0, "active_power": 400.0, "voltage_a": 230.0}


class Timed(store.Statistics):
    """Statistics in a database that note when each transaction began and ended."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, "UTC")
        self.turns: list[tuple[float, float]] = []

    @contextmanager
    def transactions(self, names: Sequence[str]) -> Iterator[Iterator[store.Transaction]]:
        began = time.monotonic()
        with super().transactions(names) as turns:
            yield turns
        self.turns.append((began, time.monotonic()))


def test_a_long_transaction_is_followed_by_a_pause_for_others(sqlite: Database) -> None:
    begin = datetime.now(UTC) - 2000 * QUARTER
    readings = Readings(sqlite)
    for name in METERS:
        readings.add([Reading(name, begin + n * QUARTER, VALUES) for n in range(2000)], {})
    timed = Timed(sqlite)
    Statistics(timed, Calendar("UTC"), lambda: datetime.now(UTC)).rollup()
    left = [
        later[0] - earlier[1]
        for earlier, later in pairwise(timed.turns)
        if earlier[1] - earlier[0] > LONG_S
    ]
    assert left, timed.turns
    # A clock may be read a little early.
    assert min(left) > BREATH_S - 0.002
