"""Which of several datapoints is the counter: by its words, then by the sum of its phases."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from esquirell.domain.inference import words
from esquirell.domain.inference.inferred import InferredDatapoint

_NEAR = 0.02
_LEAST_KWH = 1.0
_PHASES = (("a", "b", "c"), ("1", "2", "3"))
_WAYS = words.IMPORT - words.USE | words.EXPORT


def choose(points: Sequence[InferredDatapoint]) -> None:
    """Leave each counter one datapoint; the others stay raw."""
    rivals: dict[str, list[InferredDatapoint]] = defaultdict(list)
    for point in points:
        if point.key and point.key.startswith("energy"):
            rivals[point.key].append(point)
    for key in ("energy_import", "energy_export"):
        _drop_sum_of_the_other_way(key, rivals)
    for key, several in rivals.items():
        if len(several) > 1:
            _settle(several, list(_sums(key, rivals)))


def _settle(several: list[InferredDatapoint], sums: Sequence[float]) -> None:
    """Keep the one that its words or its phases speak for; none where nothing does."""
    ranked = sorted(several, key=_rank, reverse=True)
    adding = [one for one in ranked if any(_equal(one.value, total) for total in sums)]
    best = adding[0] if adding else ranked[0]
    equals = [one for one in ranked if one is not best and _rank(one) == _rank(best)]
    differing = [
        one for one in equals if one.value is not None and not _equal(one.value, best.value)
    ]
    if differing and not adding and best.value is not None:
        best.leave_out(f"{differing[0].spec.code} has the same meaning and another count")
    for one in several:
        if one is not best:
            one.drop(f"{best.spec.code} is this counter")


def _rank(point: InferredDatapoint) -> tuple[bool, bool, bool, bool]:
    spoken = set(words.words_of(point.spec.code))
    total = bool({"total", "all"} & spoken)
    return point.value is not None, bool(spoken & _WAYS), total, "add" not in spoken


def _drop_sum_of_the_other_way(key: str, rivals: dict[str, list[InferredDatapoint]]) -> None:
    """Drop a bare total that is what the phases of the other direction add up to."""
    other = {"energy_import": "energy_export", "energy_export": "energy_import"}[key]
    own, others = list(_sums(key, rivals)), list(_sums(other, rivals))
    for point in list(rivals.get(key, ())):
        says_its_way = bool(set(words.words_of(point.spec.code)) & _WAYS)
        if says_its_way or any(_equal(point.value, total) for total in own):
            continue
        if any(_equal(point.value, total) for total in others):
            point.drop(f"it is what the phases of {other} add up to")
            rivals[key].remove(point)


def _sums(key: str, rivals: Mapping[str, list[InferredDatapoint]]) -> Iterator[float]:
    """Add up the phases of a total, or its channels."""
    for names in _PHASES:
        parts = [rivals[f"{key}_{name}"][0] for name in names if rivals.get(f"{key}_{name}")]
        measured = [part.value for part in parts if part.value is not None]
        if len(measured) > 1 and len(measured) == len(parts):
            yield sum(measured)


def _equal(value: float | None, total: float | None) -> bool:
    if value is None or total is None:
        return False
    return abs(value - total) <= _NEAR * max(abs(total), _LEAST_KWH)
