"""Choosing a profile by what is known of a product and by what it answers."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from esquirell.domain.decoding import decode, misfits
from esquirell.domain.inference import Specified, infer, infer_frames
from esquirell.domain.profile import Profile
from esquirell.domain.quantity import split_key

_LIVE_V = (80, 500)
_GRID_HZ = (45, 65)
# A family is recognised by so many of its datapoints, as some may be missing in an answer.
_LEAST = 4
_MOST = 0.65
UNKNOWN = Profile(name="unknown", title="Unknown product", datapoints={})


@dataclass(frozen=True, slots=True)
class Identity:
    """What is known of a product before it answers; all of it may be missing."""

    product_id: str = ""
    category: str = ""
    described: tuple[Specified, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """The profile that was chosen, and what is to be said of it, one sentence each."""

    profile: Profile
    warnings: tuple[str, ...] = field(default=())


def choose(
    identity: Identity,
    answer: Mapping[str, Any],
    own: Collection[Profile],
    shipped: Collection[Profile],
) -> Choice:
    """Choose for a product that answered: own profile, shipped one, inference, recognition.

    A shipped profile that claims the product but does not fit what it answers gives way, and is
    named; the user's own never does.
    """
    inferred = infer(identity.described, answer, identity.category)
    for shelf in (own, shipped):
        claim = _best(_claiming(shelf, identity.product_id, answer), answer)
        if claim is None:
            continue
        if shelf is shipped and _loses(claim, inferred, answer):
            return _instead(claim, inferred, answer, [*own, *shipped])
        return Choice(_completed(claim, inferred), tuple(_disagreements(claim, inferred)))
    return Choice(inferred) if inferred.keys else recognise(answer, [*own, *shipped])


def recognise(answer: Mapping[str, Any], shelf: Iterable[Profile]) -> Choice:
    """Recognise a family by the datapoints of an answer alone, else its frames by their headers."""
    best = _best([one for one in shelf if _resembles(answer, one)], answer)
    bare = infer_frames(answer)
    if best is not None and _score(best, answer) >= max(1, _score(bare, answer)):
        return Choice(best, (_say_recognised(best),))
    return Choice(bare if bare.keys else UNKNOWN, (_say_unknown(answer),))


def _resembles(answer: Mapping[str, Any], profile: Profile) -> bool:
    """Tell whether an answer holds what a family is recognised by, or most of it alone."""
    if not profile.requires:
        return False
    points = profile.by_name
    if misfits(profile, answer) or not _is_of_a_grid(profile, answer):
        return False
    held = sum(dp in answer for dp in profile.requires)
    strange = sum(name not in points for name in answer)
    return held == len(profile.requires) or (
        held >= _MOST * len(profile.requires) and held >= _LEAST and not strange
    )


def _is_of_a_grid(profile: Profile, answer: Mapping[str, Any]) -> bool:
    """Tell whether the voltages are a grid's: other devices send numbers there, too."""
    return profile.is_inverter or not _odd(decode(answer, profile).values)


def faults(profile: Profile, answer: Mapping[str, Any]) -> int:
    """Count what an answer says against a profile: values that can't be, or can't be read."""
    decoded = decode(answer, profile)
    return _odd(decoded.values) + len(decoded.warnings)


def hard_faults(profile: Profile, answer: Mapping[str, Any]) -> int:
    """Count those that values of slightly different moments do not excuse."""
    decoded = decode(answer, profile)
    return _odd(decoded.values) + misfits(profile, answer)


def _loses(claim: Profile, inferred: Profile, answer: Mapping[str, Any]) -> bool:
    """Tell whether an answer speaks against a profile more than against the maker's own words."""
    if not inferred.keys:
        return hard_faults(claim, answer) > 0
    return faults(claim, answer) > faults(inferred, answer)


def _instead(
    claim: Profile, inferred: Profile, answer: Mapping[str, Any], shelf: Iterable[Profile]
) -> Choice:
    """Go by the maker's specification, or by the datapoints, and say what was left aside."""
    instead = Choice(inferred) if inferred.keys else recognise(answer, shelf)
    if instead.profile is UNKNOWN:
        instead = Choice(claim)
    sentence = f"the answer contradicts profile {claim.name}, which claims this product"
    return Choice(instead.profile, (sentence, *instead.warnings))


def _claiming(
    shelf: Iterable[Profile], product_id: str, answer: Mapping[str, Any]
) -> list[Profile]:
    """Give the profiles that claim a product; of several, those that the datapoints allow."""
    every = [one for one in shelf if product_id and product_id in one.products]
    held = [one for one in every if _holds(answer, one)]
    return held or (every if len(every) == 1 else [])


def _holds(answer: Mapping[str, Any], profile: Profile) -> bool:
    points = profile.by_name
    return all(dp in answer or points[dp].code in answer for dp in profile.requires if dp in points)


def _best(candidates: Sequence[Profile], answer: Mapping[str, Any]) -> Profile | None:
    return max(candidates, key=lambda one: (_score(one, answer), len(one.requires)), default=None)


def _score(profile: Profile, answer: Mapping[str, Any]) -> int:
    """Count the datapoints that a profile explains; what can't be weighs two of them."""
    points = profile.by_name
    explained = sum(name in points for name in answer)
    return explained - 2 * faults(profile, answer)


def _odd(values: Mapping[str, float]) -> int:
    """Count the voltages and frequencies that are none of a grid's."""
    voltages = [
        value
        for key, value in values.items()
        if split_key(key)[0].key == "voltage" and not split_key(key)[1].startswith(("pv", "bat"))
    ]
    odd = sum(bool(value) and not _LIVE_V[0] <= value <= _LIVE_V[1] for value in voltages)
    frequency = values.get("frequency")
    if frequency and not _GRID_HZ[0] <= frequency <= _GRID_HZ[1]:
        odd += 1
    return odd


def _disagreements(claim: Profile, inferred: Profile) -> Iterator[str]:
    """Name the datapoints that a profile and the maker's specification understand otherwise."""
    for name, point in inferred.datapoints.items():
        known = claim.datapoints.get(name)
        if known is None or point.trust == "doubtful" or point.key is None:
            continue
        if (known.key, known.divisor) != (point.key, point.divisor):
            yield (
                f"DP {name} ({point.code}): taken as profile {claim.name} says, "
                "its maker describes it otherwise"
            )


def _completed(claim: Profile, inferred: Profile) -> Profile:
    """Add to a profile the datapoints that only the maker's specification knows."""
    known = claim.by_name
    added = {
        name: point
        for name, point in inferred.datapoints.items()
        if name not in known and point.code not in known
    }
    if not added:
        return claim
    return claim.with_datapoints({**claim.datapoints, **added})


def _say_recognised(profile: Profile) -> str:
    return (
        f"nothing is known of the product, its datapoints are those of {profile.name} "
        f"({profile.title}): set product_id, mapping_file or profile to be sure"
    )


def _say_unknown(answer: Mapping[str, Any]) -> str:
    sent = ", ".join(list(answer)[:20]) or "no datapoint"
    return (
        f"nothing is known of the product, which sent {sent}: set product_id, mapping_file or "
        "profile"
    )
