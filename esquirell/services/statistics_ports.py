"""Ports of the statistics: a store whose transactions work on one meter after the other."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from esquirell.domain.hour import Batch, Counters, HeldValues
from esquirell.domain.periods import Resolution
from esquirell.domain.statistic import Progress, Statistic, Watermark


class StatisticsTransaction(Protocol):
    """Exclusive work on the statistics of one meter in a transaction."""

    @property
    def meter(self) -> str:
        """The name of the meter."""

    @property
    def watermark(self) -> Watermark | None:
        """Up to where the meter is worked up; None when nothing is."""

    def first_reading(self, after: datetime | None, until: datetime) -> datetime | None:
        """Return the moment of the first reading after a moment and before another."""

    def new_readings(
        self, after: datetime | None, until: datetime
    ) -> tuple[datetime | None, datetime | None]:
        """Return the moment of the first reading after a moment, and of the last one before it."""

    def readings(self, since: datetime, until: datetime) -> Batch:
        """Return the readings from `since` until just before `until`."""

    def first_readings(self, since: datetime, until: datetime) -> tuple[HeldValues | None, Batch]:
        """Return what the last reading before `since` holds, and `readings` of this span."""

    def counters_before(self, start: datetime) -> Counters:
        """Return the counters at the end of the last hour with readings before `start`."""

    def kept(self, since: datetime, until: datetime) -> Mapping[float, int]:
        """Return how many readings each hour had, by its beginning (unix time)."""

    def statistics(
        self, resolution: Resolution, since: datetime, until: datetime
    ) -> list[Statistic]:
        """Return the statistics that begin from `since` until just before `until`."""

    def replace_hours(
        self, hours: Iterable[tuple[Statistic, Counters | None]], gone: Collection[datetime]
    ) -> None:
        """Put hours, with their counters, in the place of what they were; remove the `gone`."""

    def replace(self, resolution: Resolution, start: datetime, new: Statistic | None) -> None:
        """Replace the statistic that begins at `start`; None removes it."""

    def change_zone(self) -> None:
        """Remove days and months, whose borders have changed, and name the hours anew."""

    def set_watermark(self, done_to: datetime, zone: str) -> None:
        """Record up to which reading statistics are computed, and in which time zone."""

    def prune(self, hours: Sequence[tuple[datetime, datetime]]) -> int:
        """Remove the readings of hours but the first and last of each; return how many."""

    def set_pruned_to(self, moment: datetime) -> None:
        """Record up to where the readings are thinned out."""


class StatisticsStore(Protocol):
    """Stores the statistics."""

    def meters(self) -> list[str]:
        """Name the meters that have been seen. Raises UnavailableError."""

    def progress(self, names: Sequence[str]) -> list[Progress]:
        """Return how far each of these meters with readings is computed.

        Raises UnavailableError.
        """

    def transaction(self, meter: str) -> AbstractContextManager[StatisticsTransaction]:
        """Open a transaction, undone by any error. Raises UnavailableError."""

    def transactions(
        self, meters: Sequence[str]
    ) -> AbstractContextManager[Iterator[StatisticsTransaction]]:
        """Open one transaction on several meters, yielded in turn; rolled back by any error.

        Raises UnavailableError, also from the iterator.
        """

    def rewind(self, meters: Sequence[str], since: datetime) -> None:
        """Set watermarks back to just before a moment. Raises UnavailableError."""
