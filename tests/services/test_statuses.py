import logging
from datetime import UTC, datetime, timedelta

import pytest
from support.fakes import ReadingStore

from esquirell.domain.errors import MeterUnreachableError
from esquirell.domain.reading import MeterStatus, Outcome, Reading
from esquirell.services.statuses import Statuses, latest

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)
KEYS = ("voltage",)
AGAIN = "meter main answers again after 5 failed polls: 1.24 kW, 1064.21 kWh"


def ok(at: datetime) -> MeterStatus:
    return MeterStatus(0, None, at, KEYS)


def failing(since: datetime | None) -> MeterStatus:
    return MeterStatus(3, "unreachable", since, KEYS)


@pytest.mark.parametrize(
    ("stored", "known", "shown"),
    [
        # Read here, and not stored yet as the database is unreachable.
        (ok(NOON), ok(LATER), ok(LATER)),
        (ok(NOON), failing(NOON), failing(NOON)),
        # Read by another worker since.
        (ok(LATER), ok(NOON), ok(LATER)),
        (ok(LATER), failing(NOON), ok(LATER)),
        (ok(NOON), failing(None), ok(NOON)),
        (failing(None), failing(NOON), failing(NOON)),
    ],
)
def test_the_latest_answer_decides_the_status(
    stored: MeterStatus, known: MeterStatus, shown: MeterStatus
) -> None:
    assert latest({"main": stored}, {"main": known}) == {"main": shown}


def test_every_known_meter_has_a_status() -> None:
    both = {"main": ok(NOON), "garage": ok(LATER)}
    assert latest({"main": ok(NOON)}, {"garage": ok(LATER)}) == both


class Failing(ReadingStore):
    """A store in which the meter failed before this process started."""

    def statuses(self) -> dict[str, MeterStatus]:
        return {"main": failing(NOON)}


def test_the_first_outcome_is_logged_and_then_what_changes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    away = Outcome(error=MeterUnreachableError("unreachable", "main can't be reached"))
    read = Outcome(Reading("main", NOON, {"active_power": 1240.0, "energy_import": 1064.21}))
    # One that failed before a restart is named again: its user wants to know.
    first = "meter main: 1.24 kW, 1064.21 kWh"
    for store, outcomes, said in (
        (ReadingStore(), (read, read, away), [first, "main can't be reached"]),
        (ReadingStore(), (away, away, read, read), ["main can't be reached", first]),
        (Failing(), (away, away, read, read), ["main can't be reached", AGAIN]),
        (Failing(), (read, read), [AGAIN.replace("5", "3", 1)]),
    ):
        caplog.clear()
        statuses = Statuses(store)
        for outcome in outcomes:
            statuses.after({"main": outcome}, {"main": KEYS})
        assert caplog.messages == said


class CountedStore(ReadingStore):
    """A store that counts how often all statuses are read."""

    asked = 0

    def statuses(self) -> dict[str, MeterStatus]:
        self.asked += 1
        return super().statuses()


def test_the_stored_statuses_are_read_once_as_soon_as_that_can_be_done() -> None:
    store = CountedStore()
    store.kept["main"] = ok(NOON)
    store.away = True
    statuses = Statuses(store)
    assert statuses.newest() is None
    store.away = False
    assert [statuses.newest() for _ in range(3)] == [NOON] * 3
    assert store.asked == 2
