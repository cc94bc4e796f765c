"""The increments that a meter reported: each is counted once, and a possible gap is noted."""

from collections import deque
from dataclasses import dataclass, field

from esquirell.domain.numbers import whole
from esquirell.domain.record import record
from esquirell.tuya.lan.session import Message

# Without a sequence number or time, the same increment within this time (s) is a repetition.
REPEATED_S = 3.0
REMEMBERED = 32


@record
class Increment:
    """A reported increment (`value`), with its line and arrival time (monotonic s)."""

    message: Message
    value: int
    line: int
    at: float

    def repeats(self, before: "Increment", *, numbers: bool) -> bool:
        """Whether this repeats an earlier report, by frame number, device time, or our clock.

        `numbers`: the device numbers its reports.
        """
        new, old = self.message, before.message
        if self.value != before.value:
            return False
        has_numbers = numbers and bool(new.sequence and old.sequence)
        is_numbered = has_numbers and self.line == before.line
        is_timed = new.at is not None and old.at is not None
        if not is_numbered and not is_timed:
            return self.at - before.at < REPEATED_S
        return (is_numbered and new.sequence == old.sequence) or (is_timed and new.at == old.at)


@dataclass(slots=True)
class Increments:
    """The increments a meter reported since they were last taken, by DP id.

    `came`: it has ever reported one. `line` is the one it was listened to on at that time.
    `missed`: an increment was left out since, as it may be one already counted.
    """

    came: bool = False
    line: int | None = None
    missed: bool = False
    _numbers: bool = True
    _last: tuple[int, Message] | None = None
    _new: dict[str, int] = field(default_factory=dict)
    _recent: dict[str, deque[Increment]] = field(default_factory=dict)
    _unsure: list[tuple[str, Increment]] = field(default_factory=list)

    def report(
        self, message: Message, ids: frozenset[str], now: float, line: int, *, asked: bool
    ) -> None:
        """Count a report; while a query is open (`asked`), it may be the answer."""
        self._look_at_number(message, line)
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
        """Decide about reports that arrived during a query."""
        unsure, self._unsure = self._unsure, []
        for name, increment in unsure:
            if not answered_by_reports:
                self._count(name, increment)
            else:
                self._leave_out(name, increment.value)

    def leave_out(self, message: Message, ids: frozenset[str]) -> None:
        """Ignore a requested message: it holds the last increment, or perhaps a new one."""
        for name in ids & message.dps.keys():
            self._leave_out(name, whole(message.dps[name]) or 0)

    def take(self, line: int | None) -> tuple[dict[str, int], bool]:
        """Return the increments since the last call, and whether some may have been missed.

        `line` is the current one, None if there is none.
        """
        interrupted = self.missed or line is None or line != self.line
        new, self._new = self._new, {}
        self.line, self.missed = line, False
        return new, interrupted

    def _look_at_number(self, message: Message, line: int) -> None:
        """Detect a device that does not number its reports: two of them have the same number."""
        if self._last is not None:
            before_line, before = self._last
            same = before_line == line and before.sequence == message.sequence
            self._numbers &= not same or (before.dps, before.at) == (message.dps, message.at)
        self._last = line, message

    def _leave_out(self, name: str, value: int) -> None:
        is_known = any(value == increment.value for increment in self._recent.get(name, ()))
        self.missed |= value > 0 and not is_known

    def _count(self, name: str, increment: Increment) -> None:
        recent = self._recent.setdefault(name, deque(maxlen=REMEMBERED))
        known = [before for before in recent if increment.repeats(before, numbers=self._numbers)]
        if not known:
            self.came = True
            self._new[name] = self._new.get(name, 0) + increment.value
        for before in known:  # or repetitions would push out older ones
            recent.remove(before)
        recent.append(increment)
