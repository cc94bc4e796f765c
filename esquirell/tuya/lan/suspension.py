"""When a line is held no more, as the device does not bear it: `push = "auto"`."""

from dataclasses import dataclass, field

YOUNG_S = 120.0
WITHIN_S = 600.0
CLOSINGS = 3
FIRST_S = 600.0
LONGEST_S = 86_400.0
# A line that lived this long was borne.
BORNE_S = 3600.0


@dataclass
class Suspension:
    """Counts the young lines that a device closed; all times are monotonic seconds.

    Three within ten minutes suspend for ten minutes, the next time for twice as long, up to a
    day. A line that lived for an hour ends the doubling.
    """

    first_s: float = FIRST_S
    until: float = 0.0
    _next_s: float = 0.0
    _closings: list[float] = field(default_factory=list)

    def active(self, now: float) -> bool:
        """Whether no line is to be held now."""
        return now < self.until

    def closed(self, now: float, lived_s: float) -> bool:
        """Note that the device closed a line; return whether that suspends."""
        if lived_s >= BORNE_S:
            self._next_s = 0.0
        if lived_s >= YOUNG_S:
            return False
        self._closings = [at for at in self._closings if now - at < WITHIN_S] + [now]
        if len(self._closings) < CLOSINGS:
            return False
        self._closings.clear()
        self._next_s = min(2 * self._next_s or self.first_s, LONGEST_S)
        self.until = now + self._next_s
        return True
