"""The clock, as everything that needs the time is handed one."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time, aware and in UTC."""

    def __call__(self) -> datetime:
        """Return the present moment."""
        ...
