"""The summary: what was stored, and how much of it was published."""

import time
from dataclasses import dataclass

from esquirell.demo.record import Record
from esquirell.demo.watch import Watch

STRAGGLERS_S = 3.0
LOOK_AGAIN_S = 0.02


@dataclass(frozen=True, slots=True)
class Tally:
    """Rows in the database and readings seen on MQTT."""

    stored: int
    published: int

    def __str__(self) -> str:
        """Return the sentence part that both views and the summary use."""
        return f"{self.stored} readings stored, {self.published} published"


def settle(watch: Watch, record: Record) -> Tally:
    """Count after the service has ended; the last messages get a moment to arrive.

    Raises UnavailableError.
    """
    stored = record.stored() if record.has_tables() else 0
    deadline = time.monotonic() + STRAGGLERS_S
    while watch.sight().readings < stored and time.monotonic() < deadline:
        time.sleep(LOOK_AGAIN_S)
    return Tally(stored, watch.sight().readings)
