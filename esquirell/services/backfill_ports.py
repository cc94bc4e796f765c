"""Ports of the backfill: Home Assistant's statistics, our hours, and the undo journal."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from esquirell.domain.long_term import KeptStatistic, Row, Shift, Step
from esquirell.domain.record import record


@record
class Sensor:
    """A sensor of ours in Home Assistant: a quantity key of a meter, or one of its costs.

    `unique_id` identifies it in Home Assistant, `unit` is the canonical one.
    """

    meter: str
    key: str
    unique_id: str
    unit: str


class LongTerm(Protocol):
    """Home Assistant's long-term statistics; each method may raise UnavailableError.

    Figures are in the canonical unit of their sensor. What it has accepted is stored within
    `written_within_s` seconds.
    """

    written_within_s: float

    def may_write(self) -> bool:
        """Return whether rows may be written with this token."""

    def find(self, units: Mapping[str, str]) -> Mapping[str, KeptStatistic | str]:
        """Return the statistics of sensors by their unique ids, or a sentence why not."""

    def is_unchanged(self, kept: KeptStatistic) -> bool:
        """Return whether a statistic is described as when it was found."""

    def hours(self, kept: KeptStatistic, since: datetime, until: datetime) -> list[Row]:
        """Return the rows of a span, in order of time."""

    def last_before(self, kept: KeptStatistic, moment: datetime) -> Row | None:
        """Return the last row before a moment."""

    def write(self, kept: KeptStatistic, rows: Sequence[Row]) -> None:
        """Write rows over those of their hours. Raises HomeAssistantError."""

    def shift(self, kept: KeptStatistic, shift: Shift) -> None:
        """Add to the sums from an hour on. Raises HomeAssistantError."""

    def remove(self, kept: KeptStatistic, hours: Sequence[datetime]) -> None:
        """Remove the rows of hours. Raises HomeAssistantError."""


class OpenLongTerm(Protocol):
    """Connects to Home Assistant."""

    def __call__(self) -> AbstractContextManager[LongTerm]:
        """Connect. Raises ConfigError and UnavailableError."""


class Journal(Protocol):
    """Records the steps of backfills for undoing; each method may raise UnavailableError."""

    def keep(self, run: str, at: datetime, step: Step) -> int:
        """Keep a step before it is done; return its number. That of `step` does not count."""

    def confirm(self, number: int) -> None:
        """Record that a step was done."""

    def last_run(self) -> tuple[datetime, list[Step]] | None:
        """Return the last run that was not undone, its latest step first, and when it was."""

    def undoing(self, number: int, sum_before: float) -> None:
        """Record that a shift is about to be undone, and the sum of its hour."""

    def undone(self, number: int) -> None:
        """Record that a step was undone."""
