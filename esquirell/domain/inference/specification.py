"""The maker's specification of a datapoint, in its various shapes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from enum import IntEnum
from typing import Any

from esquirell.domain.frames.text import looks_like_json
from esquirell.domain.numbers import whole
from esquirell.domain.record import record

_HIGHEST_SCALE = 9
_TOTAL = "_total"
_TEXTS = ("string", "raw", "json")
_BOOLEANS = ("bool", "boolean")
_NUMBERS = ("value", "integer", "")
_BITMAPS = ("bitmap", "bitm")
# A maker's maximum is no limit: 257.1 V came with one of 250.0. But a much higher value is doubted,
# and a hundred times as much is something else.
_BEYOND = 1.3
_FAR_BEYOND = 100


@record
class Specified:
    """The maker's description of a datapoint; `name` is its DP id, or its code if that is all.

    A missing bound or scale is None; `choices` are the values of an enumeration. A counter
    `of_a_day` restarts each day.
    """

    name: str
    code: str
    kind: str = ""
    unit: str = ""
    scale: int | None = None
    lowest: int | None = None
    highest: int | None = None
    report: str = ""
    choices: tuple[str, ...] = ()
    of_a_day: bool = False


def specified(described: object) -> tuple[Specified, ...]:
    """Parse a mapping by DP id, a specification by code, or the cloud's lists of either.

    Malformed entries are left out: one bad entry must not spoil the rest.
    """
    return tuple(dict.fromkeys(_each(described)))


def mapping_of(entry: Mapping[str, Any]) -> object:
    """Return how an entry of a list of devices describes its datapoints, as `specified` takes it.

    That is its `mapping`, or what Tuya's sharing library says and rustuya-manager keeps: the codes
    by DP id in `local_strategy`, what they mean in `status_range`.
    """
    ranges, strategy = entry.get("status_range"), entry.get("local_strategy")
    if entry.get("mapping") or not isinstance(ranges, Mapping) or not isinstance(strategy, Mapping):
        return entry.get("mapping")
    codes = {dp: one.get("status_code") for dp, one in strategy.items() if isinstance(one, Mapping)}
    return {dp: ranges[code] for dp, code in codes.items() if _is_described(ranges, code)}


def _is_described(ranges: Mapping[str, Any], code: object) -> bool:
    return isinstance(code, str) and isinstance(ranges.get(code), Mapping)


def with_days(points: Sequence[Specified]) -> tuple[Specified, ...]:
    """Mark a counter as daily if there is a total of the same name, even if that is not sent.

    Dual clamp meters have `forward_energy_a` and `forward_energy_a_total`.
    """
    totals = {point.code for point in points if point.code.endswith(_TOTAL)}
    return tuple(
        replace(point, of_a_day=True) if f"{point.code}{_TOTAL}" in totals else point
        for point in points
    )


def _each(described: object) -> Iterator[Specified]:
    if isinstance(described, Mapping):
        lists = [described[key] for key in ("functions", "status") if _is_list(described, key)]
        if lists:
            for one in lists:
                yield from _each(one)
            return
        for name, entry in described.items():
            if isinstance(entry, Mapping) and str(name):
                yield _one(str(name), str(entry.get("code") or name), entry)
    elif isinstance(described, list):
        for entry in described:
            if isinstance(entry, Mapping) and _text(entry, "code"):
                yield _one(str(entry.get("dp_id") or entry["code"]), entry["code"], entry)


def _text(entry: Mapping[str, Any], key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""


def _is_list(described: Mapping[str, Any], key: str) -> bool:
    return isinstance(described.get(key), list)


def _one(name: str, code: str, entry: Mapping[str, Any]) -> Specified:
    values = _values(entry.get("values", entry.get("typeSpec")))
    return Specified(
        name=name,
        code=code,
        kind=str(entry.get("type") or values.get("type") or "").lower(),
        unit=values["unit"] if isinstance(values.get("unit"), str) else "",
        scale=_scale(values.get("scale")),
        lowest=_whole(values.get("min")),
        highest=_whole(values.get("max")),
        report=str(entry.get("report_type") or values.get("report_type") or ""),
        choices=_choices(values.get("range")),
    )


def _values(values: object) -> Mapping[str, Any]:
    if isinstance(values, str):
        try:
            values = json.loads(values)
        except (ValueError, RecursionError):
            return {}
    return values if isinstance(values, Mapping) else {}


def _choices(range_: object) -> tuple[str, ...]:
    return tuple(one for one in range_ if isinstance(one, str)) if isinstance(range_, list) else ()


def _scale(raw: object) -> int | None:
    scale = _whole(raw)
    return scale if scale is not None and 0 <= scale <= _HIGHEST_SCALE else None


def _whole(raw: object) -> int | None:
    if isinstance(raw, str) and raw.strip().lstrip("-").isdecimal() and len(raw) < 20:  # noqa: PLR2004
        raw = int(raw)
    return raw if isinstance(raw, int) and not isinstance(raw, bool) else None


class Fit(IntEnum):
    """How well a raw value fits: another type, out of bounds, or as described."""

    NO = 0
    KIND = 1
    FULL = 2


def fit(spec: Specified, raw: object) -> Fit:
    """Return how well a raw value fits its description; None fits everything."""
    if raw is None:
        return Fit.FULL
    if spec.kind in _BOOLEANS:
        return _if(isinstance(raw, bool))
    if spec.kind in _TEXTS:
        return _if(isinstance(raw, str) or looks_like_json(raw))
    if spec.kind == "enum":
        return _of_choices(spec, raw)
    number = None if isinstance(raw, str) else whole(raw)
    return _of_number(spec, number) if number is not None else Fit.NO


def _if(fits: bool) -> Fit:
    return Fit.FULL if fits else Fit.NO


def _of_choices(spec: Specified, raw: object) -> Fit:
    if not isinstance(raw, str):
        return Fit.NO
    return Fit.FULL if raw in spec.choices else Fit.KIND


def _of_number(spec: Specified, number: int) -> Fit:
    if spec.kind in _BITMAPS:
        return _if(number >= 0)
    if spec.kind not in _NUMBERS:
        return Fit.KIND
    below = spec.lowest is not None and number < min(spec.lowest, 0)
    above = number / max(spec.highest, 1) if spec.highest is not None else 0
    if above > _FAR_BEYOND:
        return Fit.NO
    return Fit.KIND if below or above > _BEYOND else Fit.FULL
