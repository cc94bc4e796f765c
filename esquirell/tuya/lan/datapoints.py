"""The datapoints that a meter sent, each with its time."""

from collections.abc import Callable, Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from esquirell.domain.meter import Meter
from esquirell.domain.raw_datapoints import Push, Question, RawDatapoints
from esquirell.tuya.lan.increments import Increments
from esquirell.tuya.lan.session import Message

KEEP_S = 60.0
KEPT_INTERVALS = 3
MISSES = 2
"""How often answers may lack a datapoint before it is no longer waited for."""

CONFIRM_S = 3600.0
CONFIRM_AGAIN_S = 60.0
MOST_DATAPOINTS = 1024

REFRESHED_S = 5.0
FOREVER = float("inf")


@dataclass(slots=True)
class Datapoint:
    """A value, when (monotonic s) and over which line it came; `asked` how often it was queried."""

    value: Any
    at: float
    line: int
    asked: int = 0


@dataclass(slots=True)
class Datapoints:
    """All datapoints of one meter, over all its lines, and how it answers.

    `answered` are the ids that were ever in an answer, `came` also those that came during a
    read. `missing` counts the answers in a row without each id. `by_id`: the device must be
    queried by datapoint id; `answers_by_reports`: it answers queries only with reports.
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
        """Store the datapoints of a message of any kind."""
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
        """Whether a report is the result of an UPDATEDPS."""
        return now < self.refresh_ends and message.dps.keys() <= self.refreshing

    def may_be_refresh(self, message: Message, now: float) -> bool:
        """Whether a report may be, at least partly, the result of an UPDATEDPS."""
        return now < self.refresh_ends and not self.refreshing.isdisjoint(message.dps)

    def heard_since(self, moment: float) -> bool:
        """Whether anything was received since a moment."""
        return self.last_at >= moment

    @property
    def complete(self) -> bool:
        """Whether answers contain everything the meter has ever sent."""
        return self.answers_by_reports or self.known.keys() <= self.answered

    def expected(self, named: Collection[str]) -> AbstractSet[str]:
        """Return the ids to wait for: those the profile names and those seen before."""
        ids = self.came if self.came.issuperset(named) else self.came.union(named)
        if not self.missing:
            return ids
        return {name for name in ids if self.missing.get(name, 0) < MISSES}

    def outstanding(self, due: Collection[str], since: float) -> set[str]:
        """Return the ids not received since a moment."""
        if self.last_at >= since and self.last_ids.issuperset(due):
            return set()  # all came in one message: the usual case
        known = self.known
        return {name for name in due if (point := known.get(name)) is None or point.at < since}

    def count_answer(self, due: Collection[str], left: Collection[str], since: float) -> None:
        """Record which datapoints an answer contained; `left` are the missing ones."""
        for name in due if left or self.missing else ():
            self.missing[name] = self.missing.get(name, 0) + 1 if name in left else 0
        if not self.known.keys() <= self.came:
            self._note_came([name for name, point in self.known.items() if point.at >= since])

    def unconfirmed(self, now: float, line: int) -> set[str]:
        """Return the ids to query again because the line is alive but has not sent them for long.

        None is queried more than twice.
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
        """Return the values that still hold; `line` is the current one, None if there is none.

        While a line is open, what came over it holds, except for values queried twice without an
        answer; counters hold even then, as they may not be changing. Values from an earlier line
        hold for three intervals, at least a minute.
        """
        for point in self.known.values():
            if point.line != line or point.asked:
                break
        else:  # all came over this line and none was queried since: the usual case
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


@dataclass(slots=True)
class Child:
    """One meter behind a device and its datapoints: the device itself, or one behind a gateway.

    `is_new`: it reported something that is not published yet. `held`: its line is to be kept
    open.
    """

    meter: Meter
    datapoints: Datapoints = field(default_factory=Datapoints)
    increments: Increments = field(default_factory=Increments)
    question: Question | None = None
    is_new: bool = False
    held: bool = False

    def last_question(self) -> Question:
        """Return its last question, or the first one to ask."""
        return self.question or Question(self.meter)

    def take(self, message: Message, now: float, line: int, *, asked: bool) -> None:
        """Store a message; a report that is not part of an answer is to be published.

        `asked`: it is being read, so that a report may be part of the answer.
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
        """Return the values that hold now; `line` is the current one, if there is one."""
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
