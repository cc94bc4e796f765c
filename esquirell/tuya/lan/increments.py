"""Increments (`add_ele`): each that a device reports by itself counts, once."""

from dataclasses import dataclass, field

from esquirell.domain.numbers import whole
from esquirell.tuya.lan.session import Message

# Without a number or a time of its own, the same increment again this soon (s) is a repetition.
REPEATED_S = 3.0


@dataclass(frozen=True, slots=True)
class Increment:
    """A report of what was added (`value`), over which line and when (monotonic s) it came."""

    message: Message
    value: int
    line: int
    at: float

    def repeats(self, before: "Increment") -> bool:
        """Whether a device said the same once more: by its frame's number, its time, our clock."""
        if self.value != before.value:
            return False
        is_numbered = bool(self.message.sequence) and self.line == before.line
        if is_numbered and self.message.sequence == before.message.sequence:
            return True
        if self.message.at is not None and before.message.at is not None:
            return self.message.at == before.message.at
        return not is_numbered and self.at - before.at < REPEATED_S


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
    _last: dict[str, Increment] = field(default_factory=dict)
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
            elif name not in self._last or increment.value != self._last[name].value:
                self.missed = True

    def take(self, line: int | None) -> tuple[dict[str, int], bool]:
        """Return what came since the last time, and whether there may have been more.

        `line` is the one that lives, None without one.
        """
        interrupted = self.missed or line is None or line != self.line
        new, self._new = self._new, {}
        self.line, self.missed = line, False
        return new, interrupted

    def _count(self, name: str, increment: Increment) -> None:
        before, self._last[name] = self._last.get(name), increment
        if before is None or not increment.repeats(before):
            self.came = True
            self._new[name] = self._new.get(name, 0) + increment.value
