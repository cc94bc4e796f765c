"""Infers a profile from a specification and an answer of the device."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from esquirell.domain.errors import DecodeError
from esquirell.domain.frames import Hint, unpack
from esquirell.domain.frames.text import looks_like_json
from esquirell.domain.inference import correction, neighbours, scaling, twins, words
from esquirell.domain.inference.inferred import InferredDatapoint, sentinels
from esquirell.domain.inference.meaning import counter_added_to, frame_suffix, meaning_of
from esquirell.domain.inference.specification import Specified, with_days
from esquirell.domain.numbers import signed_power, whole
from esquirell.domain.profile import INVERTERS, Profile
from esquirell.domain.quantity import split_key

_MOST_COUNTED = 10**12
_TEXT = ("string", "enum", "bitmap", "boolean", "bool", "raw", "json", "bitm")
# 143 of 165 products send phase a in DP 6; b and c follow. Micro inverters send one in DP 7.
_PHASES = {"6": "a", "7": "b", "8": "c"}
_LIVE_V = (80, 500)
_NEAR = 0.02
_LEAST_KWH = 1.0
_SUFFIXES = (("a", "b", "c"), ("1", "2", "3"))
_WAYS = words.IMPORT - words.USE | words.EXPORT


def infer(described: Sequence[Specified], answer: Mapping[str, Any], category: str = "") -> Profile:
    """Infer a profile from the maker's specification, corrected by the device's answer.

    `answer` is keyed by DP id or by code; its undescribed codes are interpreted by their names, and
    phase frames by their content: more knowledge never yields less.
    """
    known = [*with_days(described), *_undescribed(described, answer)]
    points = [_infer_one(spec, _raw(spec, answer)) for spec in known]
    neighbours.settle(points, answer)
    scaling.adopt(points)
    correction.correct(points)
    _choose_counters(points)
    refresh = tuple(
        int(one.spec.name)
        for one in points
        if one.key and one.spec.code.startswith("cur_") and one.spec.name.isdigit()
    )
    neighbours.inverter(points, category, answer)
    if category not in INVERTERS:
        neighbours.total_of_phases(points, answer)
        neighbours.choose_total(points, answer)
    twins.settle(points)
    _keep_open(points)
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
    return [*by_code, *(_undescribed_frames(described_names, answer) if described else ())]


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
        if point.raw in sentinels(spec):
            point.raw = None
        point.meaning = meaning_of(spec)
        if point.raw is not None and point.quantity == "active_power":
            point.raw = signed_power(point.raw)
        if point.meaning:
            scaling.scale(point)
        elif (counter := counter_added_to(spec)) is not None:
            point.adds, point.divisor = counter, scaling.increments(spec)
    return point


def _number(raw: object) -> int | None:
    """Return a raw value as evidence if it is a plausible count."""
    number = whole(raw)
    return number if number is not None and abs(number) < _MOST_COUNTED else None


def _keep_open(points: Sequence[InferredDatapoint]) -> None:
    """Keep scales open that nothing has shown yet: a zero fits all, and corrections need a load."""
    idle = {_judged_with(point.key) for point in points if point.key and not point.raw}
    for point in points:
        if point.key and point.trust == "sure" and not point.note:
            point.trust = "likely" if _judged_with(point.key) in idle else "sure"


def _judged_with(key: str) -> tuple[str, str]:
    """Return what a scale is judged by: the load of its phase, or all counters of its kind."""
    quantity, suffix = split_key(key)
    return (quantity.key, "") if quantity.key.startswith("energy") else ("load", suffix)


def _rank(point: InferredDatapoint) -> tuple[bool, bool]:
    """Sort by `total` in the name, then by certainty: the first of one meaning counts."""
    return ("total" not in point.spec.code.lower(), point.trust == "doubtful")


def _undescribed_frames(
    described: Collection[str], answer: Mapping[str, Any]
) -> Iterator[Specified]:
    """Return the phases in an answer whose DPs are not `described`, if there is a phase a."""
    if "6" not in answer:
        return
    for dp, phase in _PHASES.items():
        code = f"phase_{phase}"
        if dp not in described and code not in described and _is_phase(answer.get(dp), code):
            yield Specified(dp, code, "raw")


def _is_phase(raw: object, code: str) -> bool:
    """Whether a raw value is a frame with a grid voltage, or with no voltage at all."""
    try:
        fields = unpack("auto", raw, Hint(code)).fields
    except DecodeError:
        return False
    low, high = _LIVE_V
    # A DP that is not in the answer has no fields, so it is no frame.
    return bool(fields) and (low <= fields.get("voltage", 0) <= high or not any(fields.values()))


def _choose_counters(points: Sequence[InferredDatapoint]) -> None:
    """Assign one datapoint to each counter; the others stay raw."""
    rivals: dict[str, list[InferredDatapoint]] = defaultdict(list)
    for point in points:
        if point.key and point.key.startswith("energy"):
            rivals[point.key].append(point)
    for key in ("energy_import", "energy_export"):
        _drop_sum_of_the_other_way(key, rivals)
    for key, several in rivals.items():
        if len(several) > 1:
            _settle(several, _sum_of_parts(key, rivals))


def _settle(several: list[InferredDatapoint], parts: float | None) -> None:
    """Keep the one supported by its words or its phases; none if nothing decides."""
    ranked = sorted(several, key=_strength, reverse=True)
    adding = [one for one in ranked if _equal(one.value, parts)]
    best = adding[0] if adding else ranked[0]
    equals = [one for one in ranked if one is not best and _strength(one) == _strength(best)]
    differing = [one for one in equals if not _equal(one.value, best.value)]
    if differing and not adding and best.value is not None:
        best.leave_out(f"{differing[0].spec.code} has the same meaning but another count")
    for one in several:
        if one is not best:
            one.drop(f"{best.spec.code} is this counter")


def _strength(point: InferredDatapoint) -> tuple[bool, bool, bool, bool]:
    """Rank by words first: an answer may lack the counter, and another is not to replace it."""
    tokens = set(words.words_of(point.spec.code))
    total = bool({"total", "all"} & tokens)
    return bool(tokens & _WAYS), total, "add" not in tokens, point.value is not None


def _drop_sum_of_the_other_way(key: str, rivals: dict[str, list[InferredDatapoint]]) -> None:
    """Drop a bare total that equals the sum of the other direction's phases."""
    other = {"energy_import": "energy_export", "energy_export": "energy_import"}[key]
    own, others = _sum_of_parts(key, rivals), _sum_of_parts(other, rivals)
    for point in list(rivals.get(key, ())):
        says_its_way = bool(set(words.words_of(point.spec.code)) & _WAYS)
        if says_its_way or _equal(point.value, own):
            continue
        if _equal(point.value, others):
            point.drop(f"it is the sum of the phases of {other}")
            rivals[key].remove(point)


def _sum_of_parts(key: str, rivals: Mapping[str, list[InferredDatapoint]]) -> float | None:
    """Return the sum of a total's phases or channels; None if one is unknown."""
    for names in _SUFFIXES:
        parts = [rivals[f"{key}_{name}"][0] for name in names if rivals.get(f"{key}_{name}")]
        measured = [part.value for part in parts if part.value is not None]
        if len(measured) > 1 and len(measured) == len(parts):
            return sum(measured)
    return None


def _equal(value: float | None, total: float | None) -> bool:
    if value is None or total is None:
        return False
    return abs(value - total) <= _NEAR * max(abs(total), _LEAST_KWH)
