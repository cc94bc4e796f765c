"""A reading and what belongs to it: its ledger, the outcome of a poll, the state of a meter."""

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

from esquirell.domain.counters import Counter
from esquirell.domain.doubts import Doubt
from esquirell.domain.errors import EsquirellError
from esquirell.domain.integration import Increments, Integral
from esquirell.domain.quantity import is_counter, is_quantity_key
from esquirell.domain.record import record
from esquirell.domain.undated import Undated

Kept = TypeVar("Kept", Counter, Integral)


@record
class Ledger:
    """What is remembered of a meter after the reading of `at`.

    `counters` and `increments` are kept by quantity key, `integrals` by the suffix of their power,
    `doubts` by their check; `warnings` are those of the reading. `based_on` is the moment of the
    stored ledger that this one was derived from, `writer` the process that writes it,
    `edition` how often somebody has corrected it.
    """

    at: datetime
    based_on: datetime | None = None
    writer: str = ""
    counters: dict[str, Counter] = field(default_factory=dict)
    integrals: dict[str, Integral] = field(default_factory=dict)
    increments: dict[str, Increments] = field(default_factory=dict)
    doubts: dict[str, Doubt] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    edition: int = 0

    def corrected(self, counters: Mapping[str, Counter]) -> "Ledger":
        """Return the ledger with some counters replaced; none that was derived before follows."""
        together = self.counters | dict(counters)
        return replace(self, counters=together, edition=self.edition + 1, writer="")

    def differs(self, other: "Ledger") -> bool:
        """Return whether anything but the time and the writer has changed.

        What changes with the clock alone is not worth a write: it would wear out SD cards.
        """
        return (
            self.increments != other.increments
            or self.doubts != other.doubts
            or self.warnings != other.warnings
            or _differ(self.counters, other.counters)
            or _differ(self.integrals, other.integrals)
        )

    def follows(self, stored: "Ledger") -> bool:
        """Return whether this one may replace a stored one: it is newer, or was derived from it.

        A clock that was set back makes newer ledgers of an earlier time.
        """
        if self.edition != stored.edition:
            return self.edition > stored.edition
        return stored.at <= self.at or stored.at == self.based_on

    def knows(self, stored: "Ledger") -> bool:
        """Return whether the stored ledger holds nothing that this one was not derived from."""
        same = stored.writer == self.writer or stored.at == self.based_on
        return same and stored.edition == self.edition


def _differ(ours: Mapping[str, Kept], theirs: Mapping[str, Kept]) -> bool:
    if ours.keys() != theirs.keys():
        return True
    for key, own in ours.items():  # noqa: SIM110 - twice as fast as any()
        if not own.resembles(theirs[key]):
            return True
    return False


@record
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
        """When it was taken, as it is published; None while that is unknown."""
        return None if self.undated else iso(self.measured_at)

    @property
    def withheld(self) -> set[str]:
        """The keys of counters that are doubted: of these only the raw value is published."""
        raw = self.diagnostics.get("raw_values")
        return set(raw) - self.values.keys() if isinstance(raw, Mapping) else set()

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


def measured_at(state: Mapping[str, Any]) -> datetime | None:
    """Return the moment of a published state, which anybody may have sent; None if it has none."""
    try:
        moment = datetime.fromisoformat(state["measured_at"])
    except (KeyError, TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None


def outlasting(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is left of a published state in the end: counters and diagnostics."""
    return {
        key: None if is_quantity_key(key) and not is_counter(key) else value
        for key, value in state.items()
    }


@record
class Outcome:
    """A reading, or the error in its place.

    `reading` and `error` may both be there: a reading that was taken and could not be stored.
    """

    reading: Reading | None = None
    error: EsquirellError | None = None

    @property
    def ok(self) -> bool:
        """Return whether the reading was taken and everything asked for was done with it."""
        return self.error is None

    def payload(self) -> dict[str, Any]:
        """Build this meter's part of the answer to a fetch."""
        if self.error is not None:
            return {"status": "error", "code": self.error.code, "error": str(self.error)}
        return {"status": "ok", "measured_at": self.reading.time if self.reading else None}


FAILURES_TO_OFFLINE = 2
MISSED_INTERVALS_TO_OFFLINE = 3
USUAL_INTERVAL_S = 60.0
LEAST_HOLD_S = 60.0


def hold_s(interval_s: float | None) -> int:
    """Return for how long (s) a value holds without another reading: three intervals, a minute."""
    return int(max(LEAST_HOLD_S, MISSED_INTERVALS_TO_OFFLINE * (interval_s or USUAL_INTERVAL_S)))


@record
class MeterStatus:
    """The polls of one meter so far: failures in a row, their reason, the last success.

    `keys` are all quantity keys ever seen from this meter, so that the published shape
    stays the same over restarts. `undated`: the clock that `last_success` is by was doubted.
    """

    failures: int = 0
    reason: str | None = None
    last_success: datetime | None = None
    keys: tuple[str, ...] = ()
    undated: bool = False

    @property
    def time(self) -> str | None:
        """When it last answered, as it is published; None while that is unknown."""
        return iso(self.last_success) if self.last_success and not self.undated else None

    @property
    def state(self) -> Literal["online", "offline"]:
        """Offline after two failed polls in a row, and before the first success."""
        failed = self.failures >= FAILURES_TO_OFFLINE or self.last_success is None
        return "offline" if failed else "online"

    def overdue(self, now: datetime, interval: float) -> bool:
        """Return whether three intervals, in seconds, went by without a reading."""
        if self.last_success is None:
            return False
        return (now - self.last_success).total_seconds() > MISSED_INTERVALS_TO_OFFLINE * interval

    def payload(self) -> dict[str, object]:
        """Build the published availability."""
        return {
            "state": self.state,
            "reason": self.reason,
            "last_success": self.time,
            "failures": self.failures,
        }
