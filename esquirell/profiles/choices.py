"""The profile of each meter: chosen at its first answer, and refined by later ones."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from pathlib import Path
from time import monotonic
from typing import Any

from esquirell.domain.decoding import Decoded, decode
from esquirell.domain.device import Device
from esquirell.domain.errors import ConfigError, InstallationError
from esquirell.domain.evidence import weigh
from esquirell.domain.growth import Growth
from esquirell.domain.meter import Meter
from esquirell.domain.profile import Profile
from esquirell.domain.record import record
from esquirell.profiles.choice_changes import Change, change_of, over, scaled, unscaled
from esquirell.profiles.chosen import UNKNOWN, Choice
from esquirell.profiles.library import find, own_usable, shipped
from esquirell.profiles.memory import Memory, NullMemory, Remembered

log = logging.getLogger(__name__)

# This many consecutive answers must contradict a guess to withdraw it.
_REFUSED = 5
# This many answers in a row without the datapoints that the profile requires come from another
# firmware, if another profile fits them.
_MOVED = 20
# An answer with this fraction of all datapoints ever sent is evidence by itself, as of one moment.
_WHOLE = 0.8
# This many answers have to fit a guess to confirm it: then its warning ends.
_CONFIRMED = 5
# Once confirmed, only every so many answers are checked, until one contradicts it.
_CHECKED_EACH = 8
# After this many answers an open question is re-examined only this often; before that more often.
_RARELY = 1024

Announce = Callable[[Meter, Change], None]


def announce_nothing(meter: Meter, change: Change) -> None:
    """Announce nothing: for one-off queries."""


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


class Choices:
    """Chooses profiles and remembers them, per meter and configuration.

    `directory` returns the folder of the user's own profiles, or None; `known` returns the cloud's
    description of a meter's device, if there is one. Guesses are kept in `memory` across restarts;
    `announce` is called when the interpretation of a meter changes.
    """

    def __init__(
        self,
        directory: Callable[[], Path | None] = lambda: None,
        known: Callable[[Meter], Device] = lambda _: Device(),
        memory: Memory | None = None,
        announce: Announce = announce_nothing,
        seconds: Callable[[], float] = monotonic,
    ) -> None:
        self._directory = directory
        self._device_of = known
        self._memory = memory or NullMemory()
        self._announce = announce
        self._seconds = seconds
        self._lock = threading.Lock()
        self._kept: dict[str, MeterChoice] = {}
        # Why a meter's profile can't be chosen again: each answer would say so.
        self._complained: dict[str, str] = {}

    def of(self, meter: Meter) -> Profile:
        """Return the profile of a meter, as far as it is known before its first answer.

        Raises ConfigError when the configured profile is missing or invalid.
        """
        kept = self._known(meter)
        return kept.choice.profile if kept else self._choose(meter, {}).profile

    def decode(self, meter: Meter, answer: Mapping[str, Any]) -> Decoded:
        """Decode an answer with the profile of its meter, which is chosen again if necessary.

        Raises ConfigError, as `of`, for the first answer.
        """
        kept = self._known(meter)
        if kept is None:
            first = MeterChoice.first(meter, self._choose(meter, answer), answer)
            choice = self._keep(first, None)
            decoded = decode(answer, choice.profile)
        else:
            decoded = decode(answer, kept.choice.profile)
            try:
                choice = self._after(kept, meter, answer, decoded)
            except (ConfigError, InstallationError) as error:
                # As without open files. The answer is there: it counts as the ones before it did.
                if self._complained.get(meter.name) != str(error):
                    log.warning("meter %s: its profile is not chosen again: %s", meter.name, error)
                self._complained[meter.name] = str(error)
                choice = kept.choice
            if choice.profile is not kept.choice.profile:
                decoded = decode(answer, choice.profile)
        if not choice.warnings:
            return decoded
        warnings = (*choice.warnings, *decoded.warnings)
        return replace(decoded, warnings=warnings, hints=(*choice.warnings, *decoded.hints))

    def reconsider(self, meter: Meter) -> None:
        """Choose again at the next answer of a meter, as more is known about its product."""
        with self._lock:
            if kept := self._kept.get(meter.name):
                self._kept[meter.name] = replace(kept, outdated=True)

    def _after(
        self, kept: MeterChoice, meter: Meter, answer: Mapping[str, Any], decoded: Decoded
    ) -> Choice:
        later = kept.after(answer, decoded, self._seconds())
        if later.refused >= _REFUSED:
            log.warning(
                "meter %s: its answers contradict the recognised profile, which is withdrawn",
                meter.name,
            )
            anew = MeterChoice.first(meter, self._choose(meter, answer), answer)
            return self._keep(anew, kept.choice)
        if later.unmet and later.unmet % _MOVED == 0 and (other := self._other(later, answer)):
            log.warning("meter %s: its datapoints are those of another firmware", meter.name)
            return self._keep(MeterChoice.first(meter, other, answer), kept.choice)
        if later.growth and (proved := later.growth.divisors(answer)):
            return self._keep(replace(later, choice=scaled(kept.choice, proved)), kept.choice)
        if not (kept.outdated or kept.may_change_by(answer)):
            if later is not kept:
                with self._lock:
                    self._kept[meter.name] = later
            return later.choice
        sent = kept.with_(answer)
        whole = len(answer) >= _WHOLE * len(sent)
        choice = self._choose(meter, answer if whole else sent, answer)
        if choice.profile is UNKNOWN or not kept.outdated:
            silent = kept.sent.keys() - answer.keys()
            choice = over(kept.choice, choice, kept.overruled(choice, answer), silent)
        judged = max(kept.judged, len(answer))
        later = replace(later, choice=choice, sent=sent, outdated=False, judged=judged)
        return self._keep(later, kept.choice)

    def _other(self, kept: MeterChoice, answer: Mapping[str, Any]) -> Choice | None:
        """Return a profile that an answer fits, instead of the one that it no longer does."""
        choice = self._choose(kept.meter, answer)
        profile = choice.profile
        other = profile.name != kept.choice.profile.name and profile.requires
        return choice if other and profile.is_met_by(answer) else None

    def _choose(
        self, meter: Meter, sent: Mapping[str, Any], answer: Mapping[str, Any] | None = None
    ) -> Choice:
        """Choose by everything sent; a vendor's description is corrected only by one `answer`."""
        mine, damaged = own_usable(self._directory())
        if meter.profile != "auto":
            return Choice(find(meter.profile, mine, damaged))
        from esquirell.profiles.capture import identity  # noqa: PLC0415 - the same
        from esquirell.profiles.choice import choose  # noqa: PLC0415 - only "auto" needs it

        known = identity(meter, self._device_of(meter))
        evidence = answer if known.described and answer is not None else sent
        return choose(known, evidence, list(mine.values()), list(shipped().values()))

    def _keep(self, kept: MeterChoice, before: Choice | None) -> Choice:
        """Store a choice, here and in memory; announce the change of published keys."""
        watched = frozenset(unscaled(kept.choice))
        if watched != (kept.growth.watched if kept.growth else frozenset()):
            kept = replace(kept, growth=Growth.of(watched))
        kept = replace(kept, shown=kept.shown | {dp for dp, raw in kept.sent.items() if raw})
        with self._lock:
            self._kept[kept.meter.name] = kept
            self._complained.pop(kept.meter.name, None)
        choice = kept.choice
        if choice.guessed:
            left = Remembered(choice.profile, tuple(choice.open), tuple(kept.sent))
            self._memory.put(self._source(kept.meter), left)
        if before is not None and (change := change_of(before.profile, choice.profile)):
            log.info("meter %s: its interpretation has changed: %s", kept.meter.name, change)
            self._announce(kept.meter, change)
        return choice

    def _known(self, meter: Meter) -> MeterChoice | None:
        """Return the choice for this meter, unless its configuration has changed since."""
        kept = self._kept.get(meter.name)
        if kept is not None and (kept.meter is meter or _basis(kept.meter) == _basis(meter)):
            return kept
        return self._remembered(meter) if meter.profile == "auto" else None

    def _remembered(self, meter: Meter) -> MeterChoice | None:
        left = self._memory.get(self._source(meter))
        if left is None:
            return None
        choice = Choice(left.profile, open=frozenset(left.open), guessed=True)
        growth = Growth.of(unscaled(choice))
        sent = dict.fromkeys(left.sent)
        kept = MeterChoice(meter, choice, sent, growth=growth, judged=len(sent))
        with self._lock:
            self._kept[meter.name] = kept
        return kept

    def _source(self, meter: Meter) -> str:
        """Return the name of a device with its description: if that changes, the guess is void."""
        from esquirell.profiles.capture import identity  # noqa: PLC0415 - only "auto" needs it

        known = identity(meter, self._device_of(meter))
        return " ".join(map(str, (*_basis(meter), known.product_id, bool(known.described))))


def _basis(meter: Meter) -> tuple[object, ...]:
    return meter.device_id, meter.cid, meter.profile, meter.product_id, meter.mapping_file
