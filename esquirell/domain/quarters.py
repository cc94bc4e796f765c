"""Readings into quarters of an hour, for people who look closely; they are not stored.

They are worked up as hours are, so that the quarters of an hour add up to it.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from esquirell.domain.hour import Batch
from esquirell.domain.hours import Hours
from esquirell.domain.periods import Calendar
from esquirell.domain.statistic import Statistic


def quarters(
    meter: str, batches: Iterable[Batch], calendar: Calendar, now: datetime
) -> Iterator[Statistic]:
    """Work up the readings of one meter, in the order of time; a batch has whole quarters.

    The quarter that is not over counts until `now`.
    """
    found: Hours | None = None
    for batch in batches:
        if found is None:
            first = calendar.floor(datetime.fromtimestamp(batch.moments[0], UTC), "quarter")
            found = Hours(calendar, first, first, {}, now, "quarter")
        found.add(batch)
        yield from (one.statistic(meter) for one in found.settled())
    if found:
        yield from (one.statistic(meter) for one in found.worked_up(now.timestamp()))
