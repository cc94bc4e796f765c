"""The profile of each meter: chosen at its first answer, and refined by later ones."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

from esquirell.domain.decoding import Decoded, decode
from esquirell.domain.device import Device
from esquirell.domain.growth import Growth
from esquirell.domain.meter import Meter
from esquirell.domain.profile import Profile
from esquirell.profiles.chosen import UNKNOWN, Choice
from esquirell.profiles.library import find, own_usable, shipped
from esquirell.profiles.memory import Memory, NullMemory, Remembered
from esquirell.profiles.meter_choice import (
    Change,
    MeterChoice,
    change_of,
    over,
    scaled,
    unscaled,
)

log = logging.getLogger(__name__)

# This many consecutive answers must contradict a guess to withdraw it.
_REFUSED = 5
# This many answers in a row without the datapoints that the profile requires come from another
# firmware, if another profile fits them.
_MOVED = 20
# An answer with this fraction of all datapoints ever sent is evidence by itself, as of one moment.
_WHOLE = 0.8

Announce = Callable[[Meter, Change], None]


def announce_nothing(meter: Meter, change: Change) -> None:
    """Announce nothing: for one-off queries."""


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

    def of(self, meter: Meter) -> Profile:
        """Return the profile of a meter, as far as it is known before its first answer.

        Raises ConfigError when the configured profile is missing or invalid.
        """
        kept = self._known(meter)
        return kept.choice.profile if kept else self._choose(meter, {}).profile

    def decode(self, meter: Meter, answer: Mapping[str, Any]) -> Decoded:
        """Decode an answer with the profile of its meter, which is chosen again if necessary.

        Raises ConfigError, as `of`.
        """
        kept = self._known(meter)
        if kept is None:
            first = MeterChoice.first(meter, self._choose(meter, answer), answer)
            choice = self._keep(first, None)
            decoded = decode(answer, choice.profile)
        else:
            decoded = decode(answer, kept.choice.profile)
            choice = self._after(kept, meter, answer, decoded)
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
