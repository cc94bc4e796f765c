"""The choice for one meter: what it is based on, and what replaces it."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import field, replace
from typing import Any

from esquirell.domain.decoding import Decoded
from esquirell.domain.evidence import weigh
from esquirell.domain.growth import Growth
from esquirell.domain.meter import Meter
from esquirell.domain.profile import Profile
from esquirell.domain.record import record
from esquirell.profiles.chosen import UNKNOWN, Choice

# This many answers have to fit a guess to confirm it: then its warning ends.
_CONFIRMED = 5
# Once confirmed, only every so many answers are checked, until one contradicts it.
_CHECKED_EACH = 8
# After this many answers an open question is re-examined only this often; before that more often.
_RARELY = 1024


@record
class Change:
    """What a better understood profile changes in a meter's published keys."""

    profile: str
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    changed: tuple[str, ...]

    def __str__(self) -> str:
        """Return the change as a sentence for the log."""
        parts = {"now has": self.gained, "no longer has": self.lost, "has otherwise": self.changed}
        said = [f"{verb} {', '.join(keys)}" for verb, keys in parts.items() if keys]
        return f"it {' and '.join(said)} ({self.profile})"


@record
class MeterChoice:
    """The choice for a meter's configuration, and everything it ever sent, latest last.

    `answers` were decoded with it; the last `refused` of them contradicted it. It is `outdated`
    once more is known about the product: the next answer decides again. `growth` finds the scale of
    counters if nothing else does. The last `unmet` answers lacked what its profile requires.
    The `shown` datapoints had a value other than zero when it was chosen; `judged` is how many the
    fullest answer had by which it was.
    """

    meter: Meter
    choice: Choice
    sent: Mapping[str, Any] = field(default_factory=dict)
    answers: int = 0
    refused: int = 0
    outdated: bool = False
    growth: Growth | None = None
    unmet: int = 0
    shown: frozenset[str] = frozenset()
    judged: int = 0

    @classmethod
    def first(cls, meter: Meter, choice: Choice, answer: Mapping[str, Any]) -> "MeterChoice":
        """Start with the answer by which a choice was made."""
        return cls(meter, choice, answer, answers=1, judged=len(answer))

    def may_change_by(self, answer: Mapping[str, Any]) -> bool:
        """Whether an answer may change the choice: a new datapoint, or an open one that changed.

        Open questions are re-examined at the first value other than zero, then less and less often;
        which of several powers is the device's, at each answer until a load shows it.
        """
        if not answer.keys() <= self.sent.keys() or self.is_fuller(answer):
            return True
        if not self.is_open:
            return False
        count = self.answers + 1
        due = count & (count - 1) == 0 if count < _RARELY else count % _RARELY == 0
        points = self.choice.profile.datapoints.values()
        due = due or any(one.trust == "likely" and not one.keys for one in points)
        asked = answer if self.choice.profile is UNKNOWN else self.choice.open & answer.keys()
        news = [dp for dp in asked if answer[dp] and (due or dp not in self.shown)]
        return any(dp not in self.shown or answer[dp] != self.sent.get(dp) for dp in news)

    def is_fuller(self, answer: Mapping[str, Any]) -> bool:
        """Return whether an answer has all that was ever sent, as none before had."""
        return len(answer) > self.judged and answer.keys() >= self.sent.keys()

    @property
    def is_open(self) -> bool:
        """Return whether another answer with the same datapoints can add information."""
        return bool(self.choice.open) or self.choice.profile is UNKNOWN

    @property
    def is_confirmed(self) -> bool:
        """Return whether enough answers fitted a guess, and none contradicted it recently."""
        return self.choice.guessed and not self.refused and self.answers >= _CONFIRMED

    def after(self, answer: Mapping[str, Any], decoded: Decoded, at: float) -> "MeterChoice":
        """Return the state after an answer that changes nothing, decoded at a time (s)."""
        profile = self.choice.profile
        is_met = answer.keys() >= set(profile.requires) or profile.is_met_by(answer)
        unmet = 0 if is_met else self.unmet + 1
        if not self.is_open and not self.choice.guessed:
            return self if unmet == self.unmet else replace(self, unmet=unmet)
        answers = self.answers + 1
        sent = self.with_(answer) if self.is_open or not answer.keys() <= self.sent.keys() else {}
        growth = self.growth.after(answer, decoded.values, at) if self.growth else None
        later = replace(self, answers=answers, sent=sent or self.sent, growth=growth, unmet=unmet)
        if self.is_confirmed and answers % _CHECKED_EACH:
            return later
        refuses = self.choice.guessed and bool(decoded.refused or weigh(decoded.values).refusals)
        later = replace(later, refused=self.refused + 1 if refuses else 0)
        if not later.is_confirmed or not self.choice.warnings:
            return later
        return replace(later, choice=replace(self.choice, warnings=()))

    def overruled(self, choice: Choice, answer: Mapping[str, Any]) -> frozenset[str]:
        """Return what a choice by more datapoints than ever knows better than this one.

        What a zero means stays as it is if the datapoint had another value before.
        """
        if not self.is_fuller(answer):
            return frozenset()
        points = choice.profile.datapoints
        decided = {dp for dp, raw in answer.items() if raw and dp not in choice.open}
        nothing = {dp for dp in answer if not (dp in points and points[dp].keys)}
        return frozenset(decided | nothing - self.shown)

    def with_(self, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return everything ever sent, updated by an answer."""
        return {**self.sent, **answer}


def unscaled(choice: Choice) -> Iterator[str]:
    """Return the guessed counters that are raw because nothing proves their scale."""
    for dp, point in choice.profile.datapoints.items():
        counts = point.key and point.key.startswith("energy_import")
        if choice.guessed and counts and point.trust == "unproven" and not point.note:
            yield dp


def scaled(choice: Choice, divisors: Mapping[str, float]) -> Choice:
    """Set the proved scale of counters."""
    points = dict(choice.profile.datapoints)
    for dp, divisor in divisors.items():
        points[dp] = points[dp].model_copy(update={"divisor": divisor, "trust": "sure"})
    return replace(choice, profile=choice.profile.with_datapoints(points))


def over(
    before: Choice, after: Choice, overruled: Collection[str], silent: Collection[str]
) -> Choice:
    """Keep earlier conclusions: an answer with less evidence must not change a scale.

    What it is `silent` of keeps its meaning, which no other datapoint takes.
    """
    if after.profile is UNKNOWN:
        return before
    if before.profile.name != after.profile.name and not (before.guessed and after.guessed):
        return after
    known = before.profile.datapoints
    held = {name: point for name, point in known.items() if name in silent and point.keys}
    settled = held | {
        name: point
        for name, point in known.items()
        if point.trust not in ("doubtful", "unproven")
        and point.keys
        and name not in before.open
        and name not in overruled
    }
    reserved, taken = ({key for one in of.values() for key in one.keys} for of in (held, settled))
    more = {
        name: point
        for name, point in after.profile.datapoints.items()
        if reserved.isdisjoint(point.keys)
        and (
            taken.isdisjoint(point.keys)
            or name in overruled
            or (name in known and known[name].keys == point.keys)
        )
    }
    raw = {name: one for name, one in known.items() if not one.keys or one.trust == "unproven"}
    profile = after.profile.with_datapoints({**raw, **more, **settled})
    return replace(after, profile=profile, open=after.open | (before.open & held.keys()))


def change_of(before: Profile, after: Profile) -> Change | None:
    """Compare two profiles by what they publish; return None if that is the same."""
    old, new = _published(before), _published(after)
    gained = tuple(key for key in new if key not in old)
    lost = tuple(key for key in old if key not in new)
    changed = tuple(key for key in new if key in old and new[key] != old[key])
    if not (gained or lost or changed):
        return None
    return Change(after.name, gained, lost, changed)


def _published(profile: Profile) -> dict[str, tuple[str, float]]:
    """Return the datapoint and the divisor of each key that is published."""
    return {
        key: (dp, point.divisor)
        for dp, point in profile.datapoints.items()
        if point.trust != "unproven"
        for key in point.keys
    }
