"""What is remembered of a meter from one reading to the next."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from esquirell.domain.counters import Counter
from esquirell.domain.doubts import Doubt
from esquirell.domain.integration import Integral

# What goes on with the clock while nothing happens: to write it each time would wear SD cards.
_TIMES: Any = {
    "at": True,
    "based_on": True,
    "writer": True,
    "counters": {"__all__": {"at"}},
    "integrals": {"__all__": {"at", "gap_s"}},
}


class Ledger(BaseModel):
    """The books of a meter after the reading of `at`.

    `counters` are kept by quantity key, `integrals` by the suffix of their power, `doubts` by
    their check; `warnings` are those of the reading. `based_on` is the moment of the stored
    ledger that this one was derived from, `writer` the process that keeps the books.
    """

    model_config = ConfigDict(frozen=True)

    at: datetime
    based_on: datetime | None = None
    writer: str = ""
    counters: dict[str, Counter] = {}
    integrals: dict[str, Integral] = {}
    doubts: dict[str, Doubt] = {}
    warnings: tuple[str, ...] = ()

    def differs(self, other: "Ledger") -> bool:
        """Tell whether more than the time has changed."""
        return self.model_dump(exclude=_TIMES) != other.model_dump(exclude=_TIMES)

    def follows(self, stored: "Ledger") -> bool:
        """Tell whether this one may replace a stored one: it is newer, or was derived from it.

        A clock that was set back makes newer ledgers of an earlier time.
        """
        return stored.at <= self.at or stored.at == self.based_on

    def knows(self, stored: "Ledger") -> bool:
        """Tell whether the stored ledger holds nothing that this one was not derived from."""
        return stored.writer == self.writer or stored.at == self.based_on
