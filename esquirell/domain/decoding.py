"""Decodes the raw datapoints of an answer to values in canonical units."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from functools import cached_property
from itertools import product
from typing import Any

from esquirell.domain.errors import DecodeError
from esquirell.domain.frames import Hint, unpack, with_suffix
from esquirell.domain.numbers import signed_power, whole
from esquirell.domain.plausibility import allows, contradictions, is_excessive, is_hollow, overflows
from esquirell.domain.profile import Datapoint, Profile
from esquirell.domain.quantity import is_possible
from esquirell.domain.record import record

IMPORTS = frozenset(["FORWARD", "IMPORT", "POSITIVE", "WORK_P"])
EXPORTS = frozenset(["REVERSE", "BACKWARD", "EXPORT", "NEGATIVE", "WORK_N"])
_DOUBTED = ("doubtful", "unproven")
_UNDIRECTED = "its direction is missing or unknown in this answer"
# For unknown frames: no grid has a lower or higher voltage.
_FRAME_V = (40, 520)
_NO_GRID = ("pv", "bat", "dc")
_OF_PHASES = ("_a", "_b", "_c")
_NOISE_W = 10
_COUNTDOWN = "countdown"
# A total and its channels are not of quite the same moment.
_SUM_NEAR, _SUM_NEAR_W = 0.02, 2
_MOST_CHANNELS = 4
_WITHOUT_VOLTAGE = ("current", "active_power")


@record
class Decoded:
    """The decoded values of an answer, in canonical units.

    `hints` are warnings about the profile that do not depend on the values. `refused` names the
    datapoints that do not match the profile, `sources` the datapoint of each value.
    """

    values: dict[str, float] = field(default_factory=dict)
    diagnostics: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)


def decode(answer: Mapping[str, Any], profile: Profile) -> Decoded:
    """Decode a raw answer, keyed by DP id or by code, to values and diagnostics.

    Absent values stay absent; of two datapoints with one meaning, a number takes precedence over a
    frame. A value that does not match the profile, or is impossible, stays raw in the diagnostics,
    with a warning.
    """
    decoding = _Decoding(answer, profile)
    values, sources, numbers = decoding.values, decoding.sources, profile.plain
    framed = profile.framed
    for name in sorted(answer, key=framed.__contains__) if framed else answer:
        raw, plain = answer[name], numbers.get(name)
        if plain is not None and type(raw) is int and plain.key not in values:
            # The usual case; values out of bounds are checked separately.
            key, divisor, least, greatest = plain
            if least <= raw <= greatest:
                values[key] = raw / divisor
                sources[key] = name
                continue
        decoding.take(name, raw)
    return decoding.result()


def misfits(profile: Profile, answer: Mapping[str, Any]) -> int:
    """Count the raw values of another type than the profile says."""
    points = profile.by_name
    sides = {point.direction for point in points.values() if point.direction}
    return sum(
        _is_misfit(points[name], raw) or (name in sides and not isinstance(raw, str))
        for name, raw in answer.items()
        if name in points
    )


def _is_misfit(point: Datapoint, raw: object) -> bool:
    if point.code.startswith(_COUNTDOWN):
        return isinstance(raw, bool)  # a second switch: another product
    try:
        if point.frame:
            unpack(point.frame, raw, Hint(point.code))
        elif point.key:
            _scale(raw, point)
    except DecodeError:
        return raw is not None
    return False


class _Decoding:
    """The state of decoding one answer."""

    def __init__(self, answer: Mapping[str, Any], profile: Profile) -> None:
        self._points = profile.by_name
        self._answer = answer
        self._inverter = profile.is_inverter
        self.values: dict[str, float] = {}
        self._diagnostics: dict[str, Any] = {}
        self._warnings: list[str] = []
        self._hints: list[str] = []
        self._refused: list[str] = []
        self._undirected: list[str] = []
        self.sources: dict[str, str] = {}

    @cached_property
    def _by_code(self) -> Mapping[str, Any]:
        return {self._code(name): raw for name, raw in self._answer.items()}

    def take(self, name: str, raw: object) -> None:
        """Decode one raw value."""
        point = self._points.get(name)
        if point is None or not (point.key or point.frame):
            self._diagnostics[self._code(name)] = raw
            return
        if raw == "":
            return
        try:
            self._keep(name, point, raw)
        except DecodeError as error:
            self._diagnostics[point.code] = raw
            self._warnings.append(f"{_title(name, point)}: {error}")
            self._refused.append(name)
            return
        if point.note or point.trust in _DOUBTED:
            self._hints += [f"{_title(name, point)}: {says}" for says in self._says(point)]

    def result(self) -> Decoded:
        """Return the result, with contradictions."""
        values = self.values
        if self._undirected:
            self._direct()
        if self._refused:
            self._leave_out_powers()
        for key in list(overflows(values)):
            self._refused.append(self.sources[key])
            self._drop(key, "it is far above voltage x current: its value is unknown")
        warnings = [*self._hints, *self._warnings, *contradictions(values)]
        if is_hollow(values):
            values = {key: value for key, value in values.items() if value}
            warnings.append("power without any voltage: the zeros were not measured")
        every, hints = tuple(dict.fromkeys(warnings)), tuple(dict.fromkeys(self._hints))
        refused, sources = tuple(self._refused), self.sources
        return Decoded(values, self._diagnostics, every, hints, refused, sources)

    def _keep(self, name: str, point: Datapoint, raw: object) -> None:
        """Add the values of one datapoint. Raises DecodeError; then nothing was added."""
        known = not self.values.keys().isdisjoint(point.keys)
        if whole(raw) in point.sentinels or known or point.trust == "unproven":
            self._diagnostics[point.code] = raw
            return
        found = self._frame(point, raw) if point.frame else {str(point.key): _scale(raw, point)}
        if point.direction is not None and str(self._direction(point)) in EXPORTS:
            found = {key: _turned(key, value) for key, value in found.items()}
        for key, value in found.items():
            if not is_possible(key, value):
                raise DecodeError(f"{value:g} is not a possible {key}")
        self.values |= found
        self.sources |= dict.fromkeys(found, name)
        if point.direction and str(self._direction(point)) not in IMPORTS | EXPORTS:
            self._undirected += [
                key for key in found if key.startswith("active_power") and found[key]
            ]

    def _leave_out_powers(self) -> None:
        """Drop a power next to a rejected voltage if no grid voltage allows it with its current.

        Some meters send all values at ten times their scale for a while (tuya-home-assistant #102).
        """
        for name in self._refused:
            key = str(self._points[name].key)
            power, current = (key.replace("voltage", one, 1) for one in _WITHOUT_VOLTAGE[::-1])
            amperes = self.values.get(current)
            if not key.startswith("voltage") or amperes is None or power not in self.values:
                continue
            if not allows(_FRAME_V[1] * amperes, self.values[power]):
                self._drop(power, "it is far above what its current allows at any voltage")

    def _drop(self, key: str, why: str) -> None:
        """Leave a value raw, with a warning."""
        source = self.sources[key]
        self._diagnostics[self._code(source)] = self._answer[source]
        self._warnings.append(f"{key}: {why}")
        del self.values[key]

    def _direct(self) -> None:
        """Infer missing directions from a signed total, if only one combination adds up.

        Some meters send true or false without a known meaning, and many answers contain the
        direction of only one channel.
        """
        unknown = self._undirected
        signs = _signs(self.values, unknown)
        if signs is None:
            for key in unknown:
                if self._points[self.sources[key]].frame:
                    self._hints.append(f"{key}: {_UNDIRECTED}: taken as import")
                elif self._may_export(key):
                    self._drop(key, _UNDIRECTED)
            return
        self.values |= {
            key: sign * self.values[key] for key, sign in zip(unknown, signs, strict=True)
        }

    def _may_export(self, power: str) -> bool:
        """Return whether a power may be negative: only a counter of zero says that none was."""
        counter = power.replace("active_power", "energy_export", 1)
        return self.values.get(counter, self.values.get("energy_export")) != 0

    def _frame(self, point: Datapoint, raw: object) -> dict[str, float]:
        found = unpack(str(point.frame), raw, Hint(point.code, self._inverter))
        if found.note:
            self._warnings.append(f"{point.code}: {found.note}")
        fields = found.fields
        if point.frame == "auto" and not point.suffix.startswith(_NO_GRID):
            _check_voltage(fields)
        if fields.get("voltage") == 0 and abs(fields.get("active_power", 0)) > _NOISE_W:
            self._warnings.append(f"{point.code}: a power at 0 V: its voltage was not measured")
            fields = {key: fields[key] for key in _WITHOUT_VOLTAGE if fields.get(key)}
        if is_excessive(fields):
            self._diagnostics[point.code] = raw
            self._warnings.append(f"{point.code}: the power is far above voltage x current")
            fields = {key: value for key, value in fields.items() if key != "active_power"}
        # A frame of several phases is the whole device's, so its own temperature is no phase's.
        suffix = "" if any(key.endswith(_OF_PHASES) for key in fields) else point.suffix
        # Whole watts as well are floats: who keeps types apart, as InfluxDB does, gets one only.
        return {with_suffix(key, suffix): float(value) for key, value in fields.items()}

    def _direction(self, point: Datapoint) -> object:
        beside = self._points.get(point.direction or "")
        said = self._by_code.get(beside.code if beside else str(point.direction))
        return said.upper() if isinstance(said, str) else said

    def _says(self, point: Datapoint) -> Iterator[str]:
        if point.trust == "unproven":
            yield f"left out: {point.note or 'its scale is not proved yet'}"
        elif point.note:
            yield point.note
        elif point.trust == "doubtful":
            yield "its scale is uncertain: compare it with the meter's display"

    def _code(self, name: str) -> str:
        point = self._points.get(name)
        if point is not None:
            return point.code
        return f"dp_{name}" if name.isdigit() else name


def _signs(values: Mapping[str, float], unknown: Sequence[str]) -> Sequence[int] | None:
    """Return the signs with which all channels add up to the total; None if there are none."""
    total = values.get("active_power")
    if total is None or not unknown or "active_power" in unknown or len(unknown) > _MOST_CHANNELS:
        return None
    known = sum(
        value
        for key, value in values.items()
        if key.startswith("active_power_") and key not in unknown
    )
    near = _SUM_NEAR * abs(total) + _SUM_NEAR_W
    fitting = [
        signs
        for signs in product((1, -1), repeat=len(unknown))
        if abs(
            known
            + sum(sign * values[key] for key, sign in zip(unknown, signs, strict=True))
            - total
        )
        <= near
    ]
    return fitting[0] if len(fitting) == 1 else None


def _check_voltage(fields: Mapping[str, float]) -> None:
    voltage = fields.get("voltage", 0)
    if voltage and not _FRAME_V[0] <= voltage <= _FRAME_V[1]:
        raise DecodeError(f"{voltage:g} V is not a grid voltage: this is another kind of frame")


def _scale(raw: object, point: Datapoint) -> float:
    number = whole(raw)
    if number is None:
        raise DecodeError(f"expected a whole number, got {_shown(raw)}")
    if point.key and point.key.startswith("active_power"):
        number = signed_power(number)
    value = number / point.divisor
    return value if point.divisor >= 1 else round(value, 6)


def _shown(raw: object) -> str:
    """Return a fractional number as text; for anything else only its type: it may be secret."""
    if isinstance(raw, int) and not isinstance(raw, bool):
        return "a number of more than 18 digits"
    return f"{raw:g}" if isinstance(raw, float) else type(raw).__name__


def _turned(key: str, value: float) -> float:
    return -abs(value) if key.startswith("active_power") and value else value


def _title(name: str, point: Datapoint) -> str:
    return f"DP {name} ({point.code})" if name != point.code else point.code
