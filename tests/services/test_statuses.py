from datetime import UTC, datetime, timedelta

import pytest

from esquirell.domain.reading import MeterStatus
from esquirell.services.statuses import latest

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)
KEYS = ("voltage",)


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
def test_who_saw_it_answer_last_knows_best(
    stored: MeterStatus, known: MeterStatus, shown: MeterStatus
) -> None:
    assert latest({"main": stored}, {"main": known}) == {"main": shown}


def test_each_meter_that_anybody_knows_is_there() -> None:
    both = {"main": ok(NOON), "garage": ok(LATER)}
    assert latest({"main": ok(NOON)}, {"garage": ok(LATER)}) == both
