"""When something that is done over and over is due."""


class Pace:
    """Due at once, then every `seconds`; on a monotonic clock that the caller reads."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0

    def due(self, now: float) -> bool:
        """Return whether it is time, and count from now if it is."""
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True
