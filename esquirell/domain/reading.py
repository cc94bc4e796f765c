"""A reading: what one meter said at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from esquirell.domain.ledger import Ledger
from esquirell.domain.undated import Undated


@dataclass(frozen=True, slots=True)
class Reading:
    """The values of one meter at one moment; what the meter did not send is absent.

    `measured_at` is aware and in UTC, `values` holds quantity keys in canonical units,
    `diagnostics` what is no measurement, by its Tuya code, `warnings` one sentence each;
    `hints` are those of them that concern the configuration, and put no value in doubt.
    `ledger` is what has to be remembered together with it.

    Beside its values: `holds_s` is for how long (s) they hold when no reading follows, `begins`
    are the counters whose sums start again with this reading, `ranges` least and greatest by key
    of what was reported since the reading before and is not stored. `retracted` names counters
    whose only reading so far, of the moment given, turned out to have been none. `increments` is
    what the meter reported to have added to counters since the reading before, in kWh, and
    `interrupted` tells that it may have reported more. `undated` is set while the clock is doubted:
    then `measured_at` is what that clock shows, and not the time.
    """

    meter: str
    measured_at: datetime
    values: Mapping[str, float]
    diagnostics: Mapping[str, object] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    ledger: Ledger | None = None
    holds_s: int | None = None
    begins: frozenset[str] = frozenset()
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    retracted: Mapping[str, datetime] = field(default_factory=dict)
    increments: Mapping[str, float] = field(default_factory=dict)
    interrupted: bool = False
    undated: Undated | None = None

    @property
    def time(self) -> str | None:
        """When it was taken, as it is published; None while nobody knows."""
        return None if self.undated else iso(self.measured_at)

    @property
    def doubts(self) -> tuple[str, ...]:
        """The warnings that put values in doubt."""
        return tuple(warning for warning in self.warnings if warning not in self.hints)


def iso(moment: datetime) -> str:
    """Write a moment as ISO 8601 in UTC with milliseconds: `2026-11-22T10:15:00.123Z`."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def payload(reading: Reading, keys: tuple[str, ...]) -> dict[str, object]:
    """Build the published shape: time, every key of `keys` (absent is null), diagnostics.

    Warnings and hints, if there are any, are among the diagnostics.
    """
    shape: dict[str, object] = {"measured_at": reading.time}
    shape |= dict.fromkeys(keys)
    shape |= reading.values
    diagnostics = dict(reading.diagnostics)
    if reading.undated:
        diagnostics["clock"] = "unset"
    if doubts := reading.doubts:
        diagnostics["warnings"] = list(doubts)
    if reading.hints:
        diagnostics["hints"] = list(reading.hints)
    return shape | {"diagnostics": diagnostics}
