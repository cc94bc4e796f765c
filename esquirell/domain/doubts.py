"""Doubts about a meter's values: raised by repeated evidence, dropped once it is gone."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Annotated

from pydantic import AliasChoices, Field

from esquirell.domain.record import record

TENS = (10.0, 100.0, 1000.0)
# Two figures that are the same but for their power of ten: a status is no simultaneous sample.
WITHIN = 1.25
# Nearly all verdicts are this one, of the same few keys with each reading.
_REMEMBERED = 1024


@record
class Scale:
    """What the value of `key` has to be divided by: a power of ten, or -1."""

    key: str
    divisor: float


@record
class Verdict:
    """The verdict of `check` on the value of `key`; no verdict where it can't judge.

    `sentence` names what is wrong, without any figure that changes from reading to reading; `scale`
    is given only if no other value can be at fault.
    """

    check: str
    key: str
    sentence: str = ""
    scale: Scale | None = None


@lru_cache(_REMEMBERED)
def fine(check: str, key: str) -> Verdict:
    """Find a value plausible."""
    return Verdict(check, key)


def ten_times(ratio: float) -> float | None:
    """Return the power of ten, other than 1, that a ratio is close to: 10, 0.1, …, else None."""
    if not ratio or WITHIN / TENS[0] < ratio < TENS[0] / WITHIN:
        return None
    for ten in TENS:
        if ten / WITHIN <= ratio <= ten * WITHIN:
            return ten
        if ten / WITHIN <= 1 / ratio <= ten * WITHIN:
            return 1 / ten
    return None


def scaled(key: str, divisor: float) -> str:
    """Return the sentence for a value that is off by a power of ten."""
    if divisor > 1:
        return f"{key} is about {divisor:.0f} times too high"
    return f"{key} is about {1 / divisor:.0f} times too low"


def same(one: float, other: float) -> bool:
    """Return whether two positive figures mean the same."""
    return one <= other * WITHIN and other <= one * WITHIN


# A status is no simultaneous sample: one look proves nothing.
ENOUGH = 5


@record
class Doubt:
    """How often a check failed lately; `confirmed` from ENOUGH failures until none is left.

    `scale` corrects the value, where that is certain. Earlier builds stored `confirmed` as `told`.
    """

    sentence: str
    scale: Scale | None = None
    failures: int = 1
    confirmed: Annotated[bool, Field(validation_alias=AliasChoices("confirmed", "told"))] = False

    @property
    def warning(self) -> str:
        """The sentence for people."""
        if self.scale is None:
            return self.sentence
        return f"{self.sentence}: it is corrected, diagnostics.raw_values has it as it came"

    def agrees(self, verdict: Verdict) -> bool:
        """Return whether a verdict says the same."""
        return (verdict.sentence, verdict.scale) == (self.sentence, self.scale)


Doubts = Mapping[str, Doubt]


def weigh(doubts: Doubts, verdicts: Iterable[Verdict]) -> dict[str, Doubt]:
    """Take the verdicts of a reading into account; other doubts stay as they were."""
    weighed = dict(doubts)
    for verdict in verdicts:
        place = _place(verdict)
        doubt = _weighed(weighed.pop(place, None), verdict)
        if doubt is not None:
            weighed[place] = doubt
    return weighed


def of_check(doubts: Doubts, check: str) -> dict[str, Doubt]:
    """Return the doubts that one check has raised."""
    return {place: doubt for place, doubt in doubts.items() if place.startswith(f"{check} ")}


def corrected(
    values: Mapping[str, float], doubts: Doubts, verdicts: Iterable[Verdict]
) -> dict[str, float]:
    """Return the values that repeated evidence replaces; `doubts` and `verdicts` are of one check.

    A value that this very reading finds plausible is left alone: some devices change their scale
    and back. A wrong sign shows in this reading or it is none.
    """
    if not doubts:
        return {}
    seen = {_place(verdict): verdict for verdict in verdicts}
    certain = [
        doubt.scale
        for place, doubt in doubts.items()
        if doubt.confirmed and doubt.scale and _still_holds(doubt, doubt.scale, seen.get(place))
    ]
    return {
        scale.key: values[scale.key] / scale.divisor for scale in certain if scale.key in values
    }


def _still_holds(doubt: Doubt, scale: Scale, verdict: Verdict | None) -> bool:
    return scale.divisor > 0 if verdict is None else doubt.agrees(verdict)


def _place(verdict: Verdict) -> str:
    return f"{verdict.check} {verdict.key}"


def _weighed(doubt: Doubt | None, verdict: Verdict) -> Doubt | None:
    if doubt is not None and doubt.agrees(verdict):
        failures = min(doubt.failures + 1, ENOUGH)
        confirmed = doubt.confirmed or failures == ENOUGH
        return replace(doubt, failures=failures, confirmed=confirmed)
    if doubt is not None and doubt.failures > 1:
        return replace(doubt, failures=doubt.failures - 1)
    if not verdict.sentence:
        return None
    return Doubt(sentence=verdict.sentence, scale=verdict.scale)
