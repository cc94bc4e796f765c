"""What a meter said: each datapoint with its time, and each increment that it reported, once."""

from collections import deque
from collections.abc import Callable, Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from esquirell.domain.meter import Meter
from esquirell.domain.numbers import whole
from esquirell.domain.raw_datapoints import Push, Question, RawDatapoints
from esquirell.domain.record import record
from esquirell.tuya.lan.session import Message

KEEP_S = 60.0
KEPT_INTERVALS = 3
MISSES = 2
"""How often a datapoint may be missing in answers before none is waited for any more."""

CONFIRM_S = 3600.0
CONFIRM_AGAIN_S = 60.0
MOST_DATAPOINTS = 1024

REFRESHED_S = 5.0
FOREVER = float("inf")


@dataclass(slots=True)
class Datapoint:
    """A value, when it was said (monotonic) and over which line; `asked` to confirm it since."""

    value: Any
    at: float
    line: int
    asked: int = 0


@dataclass(slots=True)
class Datapoints:
    """All that one meter said, over all its lines, and what is to come of it.

    `answered` are those that ever were in an answer, `came` also those that came while one was
    waited for. `missing` counts the answers in a row that each lacked. `by_id`:
    the device has to be asked for each by its id; `answers_by_reports`: it answers a question with
    nothing but reports.
    """

    known: dict[str, Datapoint] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)
    came: frozenset[str] = frozenset()
    missing: dict[str, int] = field(default_factory=dict)
    by_id: bool = False
    last_at: float = -FOREVER
    last_ids: frozenset[str] = frozenset()
    answers: int = 0
    reports: int = 0
    answers_by_reports: bool = False
    refreshing: frozenset[str] = frozenset()
    refresh_ends: float = 0.0

    def take(self, message: Message, now: float, line: int) -> None:
        """Take in what a message says, whatever kind it is of."""
        self.last_at, self.last_ids = now, frozenset(message.dps)
        for name, value in message.dps.items():
            point = self.known.get(name)
            if point is not None:
                point.value, point.at, point.line, point.asked = value, now, line, 0
            elif len(self.known) < MOST_DATAPOINTS:
                self.known[name] = Datapoint(value, now, line)
        if message.is_answer:
            self.answers += 1
            names: Collection[str] = message.dps.keys()
            if len(self.known) >= MOST_DATAPOINTS:
                names = message.dps.keys() & self.known.keys()
            self.answered.update(names)
            self._note_came(names)
            self.answers_by_reports = False
        elif message.is_report:
            self.reports += 1

    def _note_came(self, names: Collection[str]) -> None:
        if not self.came.issuperset(names):
            self.came = self.came.union(names)

    def refreshed(self, ids: Collection[int], now: float) -> None:
        """Record that datapoints were requested by UPDATEDPS."""
        self.refreshing, self.refresh_ends = frozenset(map(str, ids)), now + REFRESHED_S

    def is_refresh(self, message: Message, now: float) -> bool:
        """Whether a report is what an UPDATEDPS brought."""
        return now < self.refresh_ends and message.dps.keys() <= self.refreshing

    def may_be_refresh(self, message: Message, now: float) -> bool:
        """Whether an UPDATEDPS may have brought a report, or a part of it."""
        return now < self.refresh_ends and not self.refreshing.isdisjoint(message.dps)

    def heard_since(self, moment: float) -> bool:
        """Whether anything was said since a moment."""
        return self.last_at >= moment

    @property
    def complete(self) -> bool:
        """Whether answers hold all that the meter ever said."""
        return self.answers_by_reports or self.known.keys() <= self.answered

    def expected(self, named: Collection[str]) -> AbstractSet[str]:
        """Return the ids to wait for: those named by the profile and those that ever came."""
        ids = self.came if self.came.issuperset(named) else self.came.union(named)
        if not self.missing:
            return ids
        return {name for name in ids if self.missing.get(name, 0) < MISSES}

    def outstanding(self, due: Collection[str], since: float) -> set[str]:
        """Return the ids that were not said since a moment."""
        if self.last_at >= since and self.last_ids.issuperset(due):
            return set()  # all came in one message: the usual case
        known = self.known
        return {name for name in due if (point := known.get(name)) is None or point.at < since}

    def count_answer(self, due: Collection[str], left: Collection[str], since: float) -> None:
        """Record which datapoints an answer brought; `left` are those that are missing."""
        for name in due if left or self.missing else ():
            self.missing[name] = self.missing.get(name, 0) + 1 if name in left else 0
        if not self.known.keys() <= self.came:
            self._note_came([name for name, point in self.known.items() if point.at >= since])

    def unconfirmed(self, now: float, line: int) -> set[str]:
        """Return the ids that are to be asked for anew, as the line lives and says nothing of them.

        Nobody asks for one more than twice.
        """
        return {
            name
            for name, point in self.known.items()
            if point.line == line
            and point.asked < MISSES
            and now - point.at >= CONFIRM_S + point.asked * CONFIRM_AGAIN_S
        }

    def current(
        self,
        now: float,
        line: int | None,
        interval_s: Callable[[], float],
        counters: Collection[str],
    ) -> Mapping[str, Datapoint]:
        """Return what is still to be believed; `line` is the one that lives, None without one.

        While the line lives it holds what was said over it, but for what was asked for twice in
        vain; of counters it holds that, too, as they may rest. What was said over an earlier line
        holds for three intervals, at least a minute.
        """
        for point in self.known.values():
            if point.line != line or point.asked:
                break
        else:  # all was said over this line and asked for by nobody since: the usual case
            return self.known
        keep_s = max(KEEP_S, KEPT_INTERVALS * interval_s())
        return {
            name: point
            for name, point in self.known.items()
            if (
                (point.asked < MISSES or name in counters or not _denied(point, now))
                if point.line == line
                else now - point.at <= keep_s
            )
        }


def _denied(point: Datapoint, now: float) -> bool:
    return point.asked >= MISSES and now - point.at >= CONFIRM_S + MISSES * CONFIRM_AGAIN_S


# Without a number or a time of its own, the same increment again this soon (s) is a repetition.
REPEATED_S = 3.0
REMEMBERED = 32


@record
class Increment:
    """A report of what was added (`value`), over which line and when (monotonic s) it came."""

    message: Message
    value: int
    line: int
    at: float

    def repeats(self, before: "Increment", *, numbers: bool) -> bool:
        """Whether a device said the same once more: by its frame's number, its time, our clock.

        `numbers`: it gives each report a number of its own.
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
    """What a meter reported to have added since somebody took it from here, by DP id.

    `came`: any ever did. `line` is the one over which the meter was listened to then, `missed`:
    an increment was left out since, as it may have been one that is known.
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
        """Take in a report; while something is `asked` of the meter, it may be the answer."""
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

    def _look_at_number(self, message: Message, line: int) -> None:
        """Detect a device that does not number its reports: two of them share a number."""
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
        for before in known:  # or repetitions would push out what was said before them
            recent.remove(before)
        recent.append(increment)


@dataclass(slots=True)
class Child:
    """One meter behind a device, and what it said: the device itself, or one behind a gateway.

    `is_new`: it said something by itself that is not published yet. `held`: its line is to be held
    open.
    """

    meter: Meter
    datapoints: Datapoints = field(default_factory=Datapoints)
    increments: Increments = field(default_factory=Increments)
    question: Question | None = None
    is_new: bool = False
    held: bool = False

    def last_question(self) -> Question:
        """Return what was asked of it last, or what is to be asked first."""
        return self.question or Question(self.meter)

    def take(self, message: Message, now: float, line: int, *, asked: bool) -> None:
        """Take a message in; what the meter says by itself is to be reported.

        `asked`: it is being read, so that a report may be a part of the answer.
        """
        is_refresh = self.datapoints.is_refresh(message, now)
        names = self.last_question().increments
        if names and message.is_report:
            if self.datapoints.may_be_refresh(message, now):
                self.increments.leave_out(message, names)
            else:
                self.increments.report(message, names, now, line, asked=asked)
        self.datapoints.take(message, now, line)
        is_own = message.is_report and not is_refresh and not self.datapoints.answers_by_reports
        if not asked or is_own:
            self.is_new = True

    def heard(
        self,
        now: float,
        line: int | None,
        push: Push,
        interval_s: Callable[[Meter], float],
        *,
        partial: bool,
    ) -> RawDatapoints:
        """Return what is to be believed of the meter now; `line` is the one that lives, if any."""
        question = self.last_question()
        current = self.datapoints.current(
            now, line, lambda: interval_s(self.meter), question.counters
        )
        oldest = min([point.at for point in current.values()], default=now)
        values = {name: point.value for name, point in current.items()}
        if not question.increments:
            return RawDatapoints(values, now - oldest, partial, push)
        added, interrupted = self.increments.take(line)
        return RawDatapoints(values, now - oldest, partial, push, added, interrupted)
