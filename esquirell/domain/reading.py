"""A reading with its ledger, the outcome of a poll, and the status of a meter."""

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
    """The memory of a meter, after the reading of `at`.

    `counters` and `increments` are by quantity key, `integrals` by the suffix of their power,
    `doubts` by their check; `warnings` are those of the reading. `based_on` is the moment of the
    stored ledger that this one was derived from, `writer` the process that writes it, `edition` the
    number of corrections by people.
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
        """Return the ledger with some counters replaced; earlier ones can no longer follow it."""
        together = self.counters | dict(counters)
        return replace(self, counters=together, edition=self.edition + 1, writer="")

    def differs(self, other: "Ledger") -> bool:
        """Whether anything but the time and the writer differs.

        Time alone is not worth a write: that would wear out SD cards.
        """
        return (
            self.increments != other.increments
            or self.doubts != other.doubts
            or self.warnings != other.warnings
            or _differ(self.counters, other.counters)
            or _differ(self.integrals, other.integrals)
        )

    def follows(self, stored: "Ledger") -> bool:
        """Whether this one may replace a stored one: it is newer, or was derived from it.

        After a clock was set back, newer ledgers have an earlier time.
        """
        if self.edition != stored.edition:
            return self.edition > stored.edition
        return stored.at <= self.at or stored.at == self.based_on

    def knows(self, stored: "Ledger") -> bool:
        """Whether this one was derived from everything in the stored one."""
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
    `diagnostics` everything else by its Tuya code. `warnings` are sentences; `hints` are those
    among them that concern the configuration and put no value in doubt. `ledger` is stored together
    with it.

    `holds_s` is for how long (s) its values hold if no reading follows; `begins` are the counters
    whose sums restart with it; `ranges` are the minimum and maximum by key of unstored reports
    since the last stored reading. `retracted` names counters whose only reading so far, at the
    given moment, turned out to be wrong. `increments` is the energy in kWh that the meter reported
    for counters since the last reading; `interrupted`: it may have reported more. `undated`: the
    clock is doubted, so that `measured_at` is what it showed and not the time.
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
        """The published time of the reading; None while that is unknown."""
        return None if self.undated else iso(self.measured_at)

    @property
    def withheld(self) -> set[str]:
        """The keys of doubted counters, of which only the raw value is published."""
        raw = self.diagnostics.get("raw_values")
        return set(raw) - self.values.keys() if isinstance(raw, Mapping) else set()

    @property
    def doubts(self) -> tuple[str, ...]:
        """The warnings that put values in doubt."""
        return tuple(warning for warning in self.warnings if warning not in self.hints)


def iso(moment: datetime) -> str:
    """Format a moment as ISO 8601 in UTC with milliseconds: `2026-11-22T10:15:00.123Z`."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def payload(reading: Reading, keys: tuple[str, ...]) -> dict[str, object]:
    """Return the published shape: time, every key of `keys` (null if absent), diagnostics.

    Warnings and hints are in the diagnostics, if there are any.
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
    """Return the moment of a published state, which may be from anyone; None if it has none."""
    try:
        moment = datetime.fromisoformat(state["measured_at"])
    except (KeyError, TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None


def outlasting(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return what remains of a published state once it is outdated: counters and diagnostics."""
    return {
        key: None if is_quantity_key(key) and not is_counter(key) else value
        for key, value in state.items()
    }


@record
class Outcome:
    """A reading, or the error instead.

    A reading that was taken but could not be stored has both.
    """

    reading: Reading | None = None
    error: EsquirellError | None = None

    @property
    def ok(self) -> bool:
        """Whether the reading was taken, stored and published as requested."""
        return self.error is None

    def payload(self) -> dict[str, Any]:
        """Return this meter's part of the answer to a fetch."""
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
    """The recent polls of a meter: consecutive failures, their reason, the last success.

    `keys` are all quantity keys ever seen from this meter, so that the published shape survives
    restarts. `undated`: `last_success` is by a clock that was doubted.
    """

    failures: int = 0
    reason: str | None = None
    last_success: datetime | None = None
    keys: tuple[str, ...] = ()
    undated: bool = False

    @property
    def time(self) -> str | None:
        """The published time of its last answer; None while that is unknown."""
        return iso(self.last_success) if self.last_success and not self.undated else None

    @property
    def state(self) -> Literal["online", "offline"]:
        """Offline after two failed polls in a row, and before the first success."""
        failed = self.failures >= FAILURES_TO_OFFLINE or self.last_success is None
        return "offline" if failed else "online"

    def overdue(self, now: datetime, interval: float) -> bool:
        """Whether three intervals, in seconds, have passed without a reading."""
        if self.last_success is None:
            return False
        return (now - self.last_success).total_seconds() > MISSED_INTERVALS_TO_OFFLINE * interval

    def payload(self) -> dict[str, object]:
        """Return the published availability."""
        return {
            "state": self.state,
            "reason": self.reason,
            "last_success": self.time,
            "failures": self.failures,
        }
