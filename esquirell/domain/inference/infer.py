"""A profile out of a specification and what the device answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from esquirell.domain.frames.text import looks_like_json
from esquirell.domain.inference import correction, counters, neighbours, scaling, unspoken
from esquirell.domain.inference.bare import undescribed_frames
from esquirell.domain.inference.inferred import InferredDatapoint
from esquirell.domain.inference.meaning import counter_added_to, frame_suffix, meaning_of
from esquirell.domain.inference.specification import Specified
from esquirell.domain.numbers import whole
from esquirell.domain.profile import INVERTERS, Profile

_MOST_COUNTED = 10**12
_TEXT = ("string", "enum", "bitmap", "boolean", "bool", "raw", "json", "bitm")


def infer(described: Sequence[Specified], answer: Mapping[str, Any], category: str = "") -> Profile:
    """Infer a profile from what the maker says, and correct it by what the device answers.

    `answer` is keyed by DP id or by code; codes in it that nobody described are taken for what
    their name says, and phase frames for what they hold: more knowledge never gives less.
    """
    known = [*described, *_undescribed(described, answer)]
    points = [_infer_one(spec, _raw(spec, answer)) for spec in known]
    neighbours.settle(points, answer)
    unspoken.adopt(points)
    correction.correct(points)
    counters.choose(points)
    neighbours.inverter(points, category, answer)
    if category not in INVERTERS:
        neighbours.total_of_phases(points, answer)
    refresh = tuple(
        int(one.spec.name)
        for one in points
        if one.key and one.spec.code.startswith("cur_") and one.spec.name.isdigit()
    )
    datapoints = {one.spec.name: one.datapoint() for one in sorted(points, key=_rank)}
    return Profile(
        name="inferred",
        title="Tuya meter",
        category=category,
        refresh=refresh,
        datapoints=datapoints,
    )


def _undescribed(described: Sequence[Specified], answer: Mapping[str, Any]) -> list[Specified]:
    described_names = {spec.name for spec in described} | {spec.code for spec in described}
    by_code = [
        Specified(name, name, _kind(raw))
        for name, raw in answer.items()
        if name and name not in described_names and not name.isdigit()
    ]
    return [*by_code, *(undescribed_frames(described_names, answer) if described else ())]


def _kind(raw: object) -> str:
    if isinstance(raw, str) or looks_like_json(raw):
        return "raw"
    return "boolean" if isinstance(raw, bool) else ""


def _raw(spec: Specified, answer: Mapping[str, Any]) -> object:
    return answer.get(spec.name, answer.get(spec.code))


def _infer_one(spec: Specified, raw: object) -> InferredDatapoint:
    point = InferredDatapoint(spec)
    suffix = frame_suffix(spec.code, spec.kind)
    if suffix is not None:
        point.frame, point.suffix = "auto", suffix
    elif isinstance(raw, str) and looks_like_json(raw) and '"L1"' in raw:
        point.frame = "auto"
    elif spec.kind not in _TEXT:
        point.raw, point.is_number = _number(raw), True
        point.meaning = meaning_of(spec)
        if point.meaning:
            scaling.scale(point)
        elif (counter := counter_added_to(spec)) is not None:
            point.adds, point.divisor = counter, scaling.increments(spec)
        elif "ele" in spec.code:
            point.divisor = 10 ** (spec.scale or 0)
    return point


def _number(raw: object) -> int | None:
    """Take a raw value for evidence if it is a number that a device can have counted."""
    number = whole(raw)
    return number if number is not None and abs(number) < _MOST_COUNTED else None


def _rank(point: InferredDatapoint) -> tuple[bool, bool]:
    """Put first what says `total`, then what is sure: of one meaning the first counts."""
    return ("total" not in point.spec.code.lower(), point.trust == "doubtful")
