"""When something periodic is due."""


class Pace:
    """Due at once, then every `seconds`; on a monotonic clock that the caller reads."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0

    def due(self, now: float) -> bool:
        """Return whether it is time, and restart the period if it is."""
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True
