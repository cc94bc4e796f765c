"""What came of one poll of one meter."""

from dataclasses import dataclass
from typing import Any

from esquirell.domain.errors import EsquirellError
from esquirell.domain.reading import Reading


@dataclass(frozen=True, slots=True)
class Outcome:
    """A reading, or the error that stands for it.

    `reading` and `error` may both be there: a reading that was taken and could not be stored.
    """

    reading: Reading | None = None
    error: EsquirellError | None = None

    @property
    def ok(self) -> bool:
        """Return whether the reading was taken and everything asked for was done with it."""
        return self.error is None

    def payload(self) -> dict[str, Any]:
        """Build this meter's part of the answer to a fetch."""
        if self.error is not None:
            return {"status": "error", "code": self.error.code, "error": str(self.error)}
        return {"status": "ok", "measured_at": self.reading.time if self.reading else None}
