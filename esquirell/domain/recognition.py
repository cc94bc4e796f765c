"""Recognises a meter by its answer alone: the layouts that explain it vote, physics decides.

Every layout that may have produced the answer is a candidate. Its weight increases with the number
of its products, the datapoints it explains, and what its values prove. A datapoint is accepted if
nearly all votes agree on what it means in this answer; everything else stays raw.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import cache
from typing import Any

from esquirell.domain.decoding import EXPORTS, IMPORTS, Decoded, decode
from esquirell.domain.evidence import POWERS, Evidence, is_live, is_loaded, is_tenfold, weigh
from esquirell.domain.inference.infer import infer
from esquirell.domain.inference.neighbours import is_direction
from esquirell.domain.inference.specification import Fit, Specified, fit, with_days
from esquirell.domain.numbers import whole
from esquirell.domain.one_phase import without_letter
from esquirell.domain.plausibility import is_excessive
from esquirell.domain.profile import Datapoint, Profile
from esquirell.domain.quantity import split_key, with_suffix
from esquirell.domain.record import record

# The proof required to call a device a meter: one that something flows or counts, a weaker one if
# nearly all datapoints are explained, two if many are not, as among enough numbers some look like
# anything.
_ENOUGH = 3
_ENOUGH_IF_EXPLAINED = 2
_ENOUGH_IF_STRANGE = 6
_LEAST_EXPLAINED = 4
_WELL_EXPLAINED = 0.3
_STRANGE = 0.6
_SHARE = 0.9
# Each further unexplained datapoint divides a layout's votes by ten.
_DECAY = 0.1
_MOST = 60
_PROOF_COUNTS = 20.0
# Only meters say in which direction energy flows.
WAYS = EXPORTS | IMPORTS
_SAID = 3
# Several choices as described, and nothing unexplained: no other product answers like that.
_LEAST_SHAPED = 7
_LEAST_CHOICES = 2
_SHAPED = 2
# Three choices are enough if they are long words: `controlpi_6v_pwm`, `charger_charging`.
# A value beyond its maker's bounds proves less.
_OUT_OF_BOUNDS = -2
_LONG = 8
_SHAPED_BY_LONG = 3
# This many datapoints, all as described, are enough if this many metering products have them: of
# the 8,921 public schemas without a metering datapoint none has as much in common with a layout of
# as many metering products, even if it answers with only half of its datapoints.
_COMMON = ((10, 6), (5, 9))
_COSTS = {Fit.FULL: 0.0, Fit.KIND: 1.5, Fit.NO: 4.0}
# Firmwares deviate from the description of their product in a few datapoints.
_MOST_STRANGE = 0.1
# No meter counts this much (kWh) between two reports, even after weeks offline.
_LARGEST_INCREMENT_KWH = 1000
_USUAL_INCREMENT = 1000
# Quantities of devices that are not meters.
_BESIDE = ("temperature", "state_of_charge")
# A datapoint is unknown if only layouts of negligible weight know it.
_LEAST_HEARD = 0.15


@record
class Candidate:
    """A possible origin of an answer: a profile made for it, and its number of products.

    `cost` counts what it leaves unexplained, `shape` the proof by the kinds and bounds of its
    values. `folded` datapoints belong to phase a in a three-phase layout, and to the whole device
    here. Of `directed` ones the answer lacks the direction.
    """

    name: str
    profile: Profile
    products: int
    cost: float
    shape: int = 0
    folded: frozenset[str] = frozenset()
    directed: Mapping[str, Datapoint] = field(default_factory=dict)


@record
class ExaminedCandidate:
    """A candidate with its interpretation of the answer, and the proof in that."""

    candidate: Candidate
    decoded: Decoded
    evidence: Evidence
    weight: float = 0.0

    @property
    def is_refused(self) -> bool:
        """Whether its interpretation of the answer is impossible."""
        return bool(self.evidence.refusals or self.decoded.refused)


@record
class Recognised:
    """The result: a profile of what nearly all votes agree on, and the candidates.

    `best` is the candidate with the most votes; `voted` are the datapoints that were voted on, of
    which the `open` ones may be settled by later answers. `refused` candidates have impossible
    values.
    """

    profile: Profile
    best: ExaminedCandidate | None = None
    open: frozenset[str] = frozenset()
    voted: frozenset[str] = frozenset()
    heard: tuple[ExaminedCandidate, ...] = field(default=())
    refused: tuple[ExaminedCandidate, ...] = field(default=())


def candidates(
    layouts: Iterable[tuple[Sequence[Specified], int]], answer: Mapping[str, Any]
) -> Iterator[Candidate]:
    """Return the layouts that may have produced the answer, each with its number of products.

    Layouts with the same meaning of the datapoints in the answer are one candidate. Those that
    explain most come first; beyond a limit the last are left out.
    """
    fits = cache(lambda point: fit(point, answer[point.name]))
    groups: Counter[tuple[Specified, ...]] = Counter()
    ways: dict[tuple[Specified, ...], tuple[Specified, ...]] = {}
    for points, products in layouts:
        here = tuple(point for point in with_days(points) if point.name in answer)
        ways[here] = ways.get(here) or tuple(filter(is_direction, points))
        strange = sum(fits(point) == Fit.NO for point in here)
        if here and strange <= _MOST_STRANGE * len(here):
            groups[here] += products
    costs = {points: cost(answer, [fits(point) for point in points]) for points in groups}
    whole = sum(groups[points] for points in groups if not costs[points])
    for points in sorted(groups, key=lambda points: (costs[points], -groups[points]))[:_MOST]:
        profile = infer(points, answer)
        corrected = sum(
            bool(point.note) and point.trust == "sure" for point in profile.datapoints.values()
        )
        common = whole if profile.measures_electricity else 0
        shape = _shape(points, [fits(point) for point in points], answer, common)
        directed = _directed(points, ways[points], answer)
        cost_ = costs[points] + corrected
        yield Candidate("layout", profile, groups[points], cost_, shape, directed=directed)


def _directed(
    points: Sequence[Specified], ways: Sequence[Specified], answer: Mapping[str, Any]
) -> Mapping[str, Datapoint]:
    """Return the powers whose direction datapoint is not in the answer; frames have their own."""
    absent = tuple(one for one in ways if one.name not in answer)
    inferred = infer((*points, *absent), answer).datapoints.items() if absent else ()
    missing = {one.name for one in absent}
    return {dp: point for dp, point in inferred if point.key and point.direction in missing}


def cost(answer: Mapping[str, Any], fits: Sequence[Fit]) -> float:
    """Count what is left unexplained; a value that contradicts its description costs more."""
    return len(answer) - len(fits) + sum(_COSTS[fit] for fit in fits)


def _shape(
    points: Sequence[Specified], fits: Sequence[Fit], answer: Mapping[str, Any], meters: int
) -> int:
    """Return the proof by kinds and choices: if all is explained, or long choices fit.

    `meters` is the number of products that measure electricity and answer like this, in any scale.
    """
    full = [point for point, fit in zip(points, fits, strict=True) if fit == Fit.FULL]
    odd = [point for point, fit in zip(points, fits, strict=True) if fit == Fit.KIND]
    if any(point.kind in ("value", "integer") for point in odd):
        return _OUT_OF_BOUNDS
    chosen = [str(answer[point.name]) for point in full if point.kind == "enum"]
    if len([choice for choice in chosen if len(choice) >= _LONG]) >= _SHAPED_BY_LONG:
        return _SHAPED_BY_LONG
    if len(full) < len(answer):
        return 0
    common = any(meters >= many and len(full) >= most for many, most in _COMMON)
    chosen_well = len(full) >= _LEAST_SHAPED and len(chosen) >= _LEAST_CHOICES
    return _SHAPED if common or chosen_well else 0


def recognise(every: Sequence[Candidate], answer: Mapping[str, Any]) -> Recognised:
    """Recognise a meter by an answer; an empty profile if nothing proves that it is one."""
    all_heard = [_examine(candidate, answer) for candidate in every]
    heard = _weighted([one for one in all_heard if not one.is_refused])
    refused = tuple(one for one in all_heard if one.is_refused)
    if not heard:
        return Recognised(_profile({}), refused=refused)
    best = max(heard, key=lambda one: (one.weight, one.candidate.shape))
    votes = _votes(heard, answer)
    agreed = _profile({dp: vote.point for dp, vote in votes.items() if vote.share >= _SHARE})
    shape = best.candidate.shape
    shape = shape if shape < 0 else max(one.candidate.shape for one in heard)
    is_strange = all(one.candidate.cost for one in heard) and any(
        not one.candidate.cost for one in refused
    )
    if not _is_proved(agreed, replace(best.candidate, shape=shape), answer, is_strange=is_strange):
        return Recognised(_profile({}), best, frozenset(votes), frozenset(votes), heard, refused)
    undecided = frozenset(dp for dp, vote in votes.items() if vote.open)
    # A zero is the same in every layout; phases b and c may come in a later answer.
    undecided |= {dp for dp, point in agreed.datapoints.items() if point.keys and not answer[dp]}
    undecided |= best.candidate.folded & agreed.datapoints.keys()
    return Recognised(agreed, best, undecided, frozenset(votes), heard, refused)


def _is_proved(
    agreed: Profile, best: Candidate, answer: Mapping[str, Any], *, is_strange: bool
) -> bool:
    """Whether what nearly all votes agree on proves that this is a meter.

    More proof is required if only refused layouts explain everything (`is_strange`): then it is
    rather one of those products, sending something unexpected.
    """
    decoded = decode(answer, agreed)
    if _is_lone_zero(decoded.values):
        return False
    strength = _strength(agreed, decoded, answer) + best.shape
    explained, unexplained = len(answer) - best.cost, best.cost / len(answer)
    if explained >= _LEAST_EXPLAINED and unexplained <= _WELL_EXPLAINED:
        # A single number among zeros is a grid's voltage only if all else is as described, too.
        sure = not best.cost or explained > _LEAST_EXPLAINED or _flows(decoded.values)
        return strength >= (_ENOUGH_IF_EXPLAINED if sure else _ENOUGH)
    is_strange = is_strange or unexplained > _STRANGE
    return strength >= (_ENOUGH_IF_STRANGE if is_strange else _ENOUGH)


def _is_lone_zero(values: Mapping[str, float]) -> bool:
    """Whether a thermometer, such as a boiler, has no electrical value but a counter of zero.

    Its datapoint may be anything else; if it counts energy, it is recognised once it does.
    """
    kinds = {split_key(key)[0].key for key in values}
    electrical = [key for key in values if split_key(key)[0].key not in _BESIDE]
    counters = [key for key in electrical if key.startswith("energy") and not values[key]]
    return electrical == counters and len(counters) == 1 and "temperature" in kinds


def _flows(values: Mapping[str, float]) -> bool:
    return any(
        value for key, value in values.items() if split_key(key)[0].key in (*POWERS, "current")
    )


def _strength(profile: Profile, decoded: Decoded, answer: Mapping[str, Any]) -> int:
    """Add up the proofs: by values, by a frame of a live phase, by a named direction."""
    points = profile.datapoints.values()
    framed = [
        decoded.values.get(key, 0.0)
        for point in points
        if point.frame
        for key in point.keys
        if key.startswith("voltage")
    ]
    ways = any(answer.get(point.direction or "") in WAYS for point in points)
    return weigh(decoded.values).strength + any(map(is_live, framed)) + _SAID * ways


def _examine(candidate: Candidate, answer: Mapping[str, Any]) -> ExaminedCandidate:
    folded = without_letter(candidate.profile, answer)
    if folded:
        points = {**candidate.profile.datapoints, **folded}
        profile = candidate.profile.with_datapoints(points)
        candidate = replace(candidate, profile=profile, folded=frozenset(folded))
    candidate = replace(candidate, profile=_directed_by_word(candidate.profile, answer))
    heard = _read(candidate, answer)
    if is_tenfold(heard.decoded.values):
        candidate = _without(heard.decoded.sources["active_power"], candidate)
        heard = _read(candidate, answer)
    if heard.is_refused and candidate.shape >= _SHAPED and not _is_absurd(heard, answer):
        # An answer that only meters give is proof; an impossible power in it is left out.
        rest = replace(candidate, profile=candidate.profile.unproved(*POWERS))
        without = _read(rest, answer)
        return heard if without.is_refused else without
    return heard


def _directed_by_word(profile: Profile, answer: Mapping[str, Any]) -> Profile:
    """Set the direction of the only power by the datapoint that names one, such as `reverse`."""
    points = profile.datapoints
    sent = [dp for dp in answer if dp in points]
    powers = [dp for dp in sent if any(key.startswith("active_power") for key in points[dp].keys)]
    ways = [dp for dp, raw in answer.items() if str(raw).upper() in WAYS]
    if len(powers) != 1 or len(ways) != 1 or points[powers[0]].direction:
        return profile
    directed = points[powers[0]].model_copy(update={"direction": ways[0]})
    beside = points.get(ways[0], Datapoint(code=ways[0]))
    return profile.with_datapoints({**points, powers[0]: directed, ways[0]: beside})


def _without(dp: str, candidate: Candidate) -> Candidate:
    """Return a candidate that neither explains a datapoint nor votes on it."""
    points = {name: one for name, one in candidate.profile.datapoints.items() if name != dp}
    profile = candidate.profile.with_datapoints(points)
    return replace(candidate, profile=profile, cost=candidate.cost + 1)


def _is_absurd(heard: ExaminedCandidate, answer: Mapping[str, Any]) -> bool:
    """Whether a power is so far above voltage x current that the scale of one of them is wrong."""
    refused = {dp: heard.candidate.profile.by_name[dp] for dp in heard.decoded.refused}
    left_out = {
        point.key: number / point.divisor
        for dp, point in refused.items()
        if point.key and (number := whole(answer[dp])) is not None
    }
    values = {**heard.decoded.values, **left_out}
    for quantity, suffix in map(split_key, values):
        if quantity.key == "active_power":
            names = ("voltage", "current", "active_power")
            keys = {one: with_suffix(one, suffix) for one in names}
            fields = {one: values[name] for one, name in keys.items() if name in values}
            if fields.get("current") and is_excessive(fields):
                return True
    return False


def _read(candidate: Candidate, answer: Mapping[str, Any]) -> ExaminedCandidate:
    decoded = decode(answer, candidate.profile)
    return ExaminedCandidate(candidate, decoded, weigh(decoded.values))


def _weighted(heard: Sequence[ExaminedCandidate]) -> tuple[ExaminedCandidate, ...]:
    """Weigh the candidates, relative to the one that leaves the least unexplained."""
    least = min((one.candidate.cost for one in heard), default=0)
    return tuple(replace(one, weight=_weight(one, least)) for one in heard)


def _weight(heard: ExaminedCandidate, least: float) -> float:
    explained = float(_DECAY ** (heard.candidate.cost - least))
    strength = heard.evidence.strength + min(heard.candidate.shape, 0)
    proved = float(_PROOF_COUNTS ** min(strength, _ENOUGH_IF_STRANGE))
    return heard.candidate.products * explained * proved


_Meaning = tuple[tuple[str, float], ...]


@record
class _Vote:
    """The majority's meaning of a datapoint; it is `open` while later answers may settle it."""

    point: Datapoint
    share: float
    open: bool


def _votes(heard: Sequence[ExaminedCandidate], answer: Mapping[str, Any]) -> dict[str, _Vote]:
    """Count the votes on each datapoint, by what it means in this answer."""
    counts: dict[str, dict[_Meaning, float]] = defaultdict(lambda: defaultdict(float))
    points: dict[tuple[str, _Meaning], list[Datapoint]] = defaultdict(list)
    frames = set().union(*map(_live_frames, heard))
    for one in sorted(heard, key=lambda one: -one.weight):
        meanings = _meanings(one.decoded)
        for dp, point in one.candidate.profile.datapoints.items():
            misses = dp in frames and dp not in _live_frames(one)
            if dp in answer and not misses and not _is_too_large(point, answer[dp]):
                meaning = meanings.get(dp, ())
                counts[dp][meaning] += one.weight
                points[dp, meaning].append(one.candidate.directed.get(dp, point))
    least = _LEAST_HEARD * sum(one.weight for one in heard)
    return {
        dp: _elected(votes, {meaning: points[dp, meaning] for meaning in votes})
        for dp, votes in counts.items()
        if sum(votes.values()) >= least
    }


def _live_frames(heard: ExaminedCandidate) -> set[str]:
    """Return the frames of a load at a grid's voltage: other bytes never look like these."""
    points, decoded = heard.candidate.profile.by_name, heard.decoded
    return {
        dp
        for key, dp in decoded.sources.items()
        if points[dp].frame and key.startswith("active_power") and is_loaded(decoded.values, key)
    }


def _is_too_large(point: Datapoint, raw: object) -> bool:
    """Whether a candidate's increment is so large that it is a counter instead."""
    if not point.adds and (point.keys or not point.code.startswith("add_ele")):
        return False
    divisor = point.divisor if point.adds else _USUAL_INCREMENT
    return (whole(raw) or 0) / divisor > _LARGEST_INCREMENT_KWH


def _elected(
    votes: Mapping[_Meaning, float], points: Mapping[_Meaning, Sequence[Datapoint]]
) -> _Vote:
    meaning = max(votes, key=lambda one: votes[one])
    share = votes[meaning] / sum(votes.values())
    same = points[meaning]
    if meaning:
        return _Vote(same[0], share, share < _SHARE or len({one.divisor for one in same}) > 1)
    # A measurement without a value yet counts as no measurement for now.
    return _Vote(Datapoint(code=same[0].code), share, any(one.keys for one in same))


def _meanings(decoded: Decoded) -> dict[str, _Meaning]:
    """Return what each datapoint means in this answer: its keys and their values."""
    found: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for key, dp in sorted(decoded.sources.items()):
        if key in decoded.values:
            found[dp].append((key, round(decoded.values[key], 6)))
    return {dp: tuple(meaning) for dp, meaning in found.items()}


def _profile(points: Mapping[str, Datapoint]) -> Profile:
    return Profile(name="recognised", title="Recognised by its datapoints", datapoints=points)
