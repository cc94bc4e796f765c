"""The profile of each meter, chosen at its first answer and kept while it explains the next."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from esquirell.domain.decoding import Decoded, decode
from esquirell.domain.device import Device
from esquirell.domain.meter import Meter
from esquirell.domain.profile import Profile
from esquirell.profiles.choice import UNKNOWN, Choice, choose
from esquirell.profiles.described import identity
from esquirell.profiles.shelf import find, own, shipped


@dataclass(frozen=True, slots=True)
class _Kept:
    """What was chosen for a meter as it is configured, and all that it ever sent, latest last."""

    meter: Meter
    choice: Choice
    sent: Mapping[str, Any] = field(default_factory=dict)

    def explains(self, answer: Mapping[str, Any]) -> bool:
        """Tell whether an answer holds nothing that the choice could not go by."""
        points = self.choice.profile.datapoints.values()
        settled = bool(points) and all(point.trust != "doubtful" for point in points)
        return settled and answer.keys() <= self.sent.keys()


class Choices:
    """Chooses profiles and remembers the choice, per meter and configuration.

    `directory` gives the folder of the user's own profiles, None where there is none; `known`
    tells what the cloud said of the device of a meter, if it was ever asked.
    """

    def __init__(
        self,
        directory: Callable[[], Path | None] = lambda: None,
        known: Callable[[Meter], Device] = lambda _: Device(),
    ) -> None:
        self._directory = directory
        self._device_of = known
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}

    def of(self, meter: Meter) -> Profile:
        """Give the profile of a meter, as far as it is known before an answer.

        Raises ConfigError when the profile that is configured is not there or faulty.
        """
        kept = self._known(meter)
        return kept.choice.profile if kept else self._choose(meter, {}).profile

    def decode(self, meter: Meter, answer: Mapping[str, Any]) -> Decoded:
        """Decode an answer by the profile of its meter, which is chosen anew if need be.

        Raises ConfigError, as `of`.
        """
        choice = self._after(meter, answer)
        decoded = decode(answer, choice.profile)
        warnings = (*choice.warnings, *decoded.warnings)
        hints = (*choice.warnings, *decoded.hints)
        return Decoded(decoded.values, decoded.diagnostics, warnings, hints)

    def _after(self, meter: Meter, answer: Mapping[str, Any]) -> Choice:
        kept = self._known(meter)
        if kept is not None and kept.explains(answer):
            return kept.choice
        sent = {**(kept.sent if kept else {}), **answer}
        choice = self._choose(meter, answer, sent)
        if kept is not None:
            choice = _over(kept.choice, choice)
        with self._lock:
            self._kept[meter.name] = _Kept(meter, choice, sent)
        return choice

    def _choose(
        self, meter: Meter, answer: Mapping[str, Any], sent: Mapping[str, Any] | None = None
    ) -> Choice:
        """Choose by one answer where its values are evidence, else by all that was ever sent."""
        mine = own(self._directory())
        if meter.profile != "auto":
            return Choice(find(meter.profile, mine))
        known = identity(meter, self._device_of(meter))
        evidence = answer if known.described or sent is None else sent
        return choose(known, evidence, list(mine.values()), list(shipped().values()))

    def _known(self, meter: Meter) -> _Kept | None:
        """Give what was chosen for this meter, unless its configuration has changed since."""
        with self._lock:
            kept = self._kept.get(meter.name)
        return kept if kept is not None and _same(kept.meter, meter) else None


def _same(one: Meter, other: Meter) -> bool:
    """Whether a profile was chosen by what still counts: a label or an address changes nothing."""
    return one is other or _basis(one) == _basis(other)


def _basis(meter: Meter) -> tuple[object, ...]:
    return meter.device_id, meter.cid, meter.profile, meter.product_id, meter.mapping_file


def _over(before: Choice, after: Choice) -> Choice:
    """Keep what was settled before: an answer with less evidence must not change a scale."""
    if after.profile is UNKNOWN:
        return before
    if before.profile.name != after.profile.name:
        return after
    settled = {
        name: point
        for name, point in before.profile.datapoints.items()
        if point.trust != "doubtful"
    }
    points = {**after.profile.datapoints, **settled}
    return Choice(after.profile.with_datapoints(points), after.warnings)
