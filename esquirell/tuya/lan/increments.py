"""Increments (`add_ele`): each that a device reports by itself counts, once."""

from collections import deque
from dataclasses import dataclass, field

from esquirell.domain.numbers import whole
from esquirell.tuya.lan.session import Message

# Without a number or a time of its own, the same increment again this soon (s) is a repetition.
REPEATED_S = 3.0
REMEMBERED = 32


@dataclass(frozen=True, slots=True)
class Increment:
    """A report of what was added (`value`), over which line and when (monotonic s) it came."""

    message: Message
    value: int
    line: int
    at: float

    def repeats(self, before: "Increment") -> bool:
        """Whether a device said the same once more: by its frame's number, its time, our clock."""
        new, old = self.message, before.message
        if self.value != before.value:
            return False
        is_numbered = bool(new.sequence and old.sequence) and self.line == before.line
        is_timed = new.at is not None and old.at is not None
        if not is_numbered and not is_timed:
            return self.at - before.at < REPEATED_S
        return (is_numbered and new.sequence == old.sequence) or (is_timed and new.at == old.at)


@dataclass(slots=True)
class Increments:
    """What a meter reported to have added since somebody took it from here, by DP id.

    `came`: any ever did. `line` is the one over which the meter was listened to then, `missed`:
    an increment was left out since, as it may have been one that is known.
    """

    came: bool = False
    line: int | None = None
    missed: bool = False
    _new: dict[str, int] = field(default_factory=dict)
    _recent: dict[str, deque[Increment]] = field(default_factory=dict)
    _unsure: list[tuple[str, Increment]] = field(default_factory=list)

    def report(
        self, message: Message, ids: frozenset[str], now: float, line: int, *, asked: bool
    ) -> None:
        """Take in a report; while something is `asked` of the meter, it may be the answer."""
        for name in ids & message.dps.keys():
            value = whole(message.dps[name])
            if value is None or value < 0:
                continue
            increment = Increment(message, value, line, now)
            if asked:
                self._unsure.append((name, increment))
            else:
                self._count(name, increment)

    def settle(self, *, answered_by_reports: bool) -> None:
        """Decide on what was reported while something was asked."""
        unsure, self._unsure = self._unsure, []
        for name, increment in unsure:
            if not answered_by_reports:
                self._count(name, increment)
            else:
                self._leave_out(name, increment.value)

    def leave_out(self, message: Message, ids: frozenset[str]) -> None:
        """Leave a message out that was asked for: it holds the last increment, or a new one."""
        for name in ids & message.dps.keys():
            self._leave_out(name, whole(message.dps[name]) or 0)

    def take(self, line: int | None) -> tuple[dict[str, int], bool]:
        """Return what came since the last time, and whether there may have been more.

        `line` is the one that lives, None without one.
        """
        interrupted = self.missed or line is None or line != self.line
        new, self._new = self._new, {}
        self.line, self.missed = line, False
        return new, interrupted

    def _leave_out(self, name: str, value: int) -> None:
        is_known = any(value == one.value for one in self._recent.get(name, ()))
        self.missed |= value > 0 and not is_known

    def _count(self, name: str, increment: Increment) -> None:
        recent = self._recent.setdefault(name, deque(maxlen=REMEMBERED))
        if not any(increment.repeats(before) for before in recent):
            self.came = True
            self._new[name] = self._new.get(name, 0) + increment.value
        recent.append(increment)
