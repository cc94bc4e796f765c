"""Chooses a profile by the description of a product and by its answers."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from esquirell.domain import recognition
from esquirell.domain.decoding import decode, misfits
from esquirell.domain.errors import DecodeError
from esquirell.domain.evidence import POWERS, is_usual, weigh
from esquirell.domain.frames.codecs import codec_of
from esquirell.domain.frames.octets import octets
from esquirell.domain.inference import infer
from esquirell.domain.numbers import whole
from esquirell.domain.profile import Datapoint, Profile
from esquirell.domain.recognition import Candidate, Recognised
from esquirell.profiles.chosen import UNKNOWN, Choice, Identity
from esquirell.profiles.layouts import Published

# This many datapoints identify a family, as some may be missing in an answer.
_LEAST = 4
_MOST = 0.65
# A hand-written profile counts as much as this many products with one layout.
_SHELF_COUNTS = 30
_STRANGE = 0.1
_LONG = 10
_WRITTEN = 2
_LARGEST_INCREMENT = 5_000_000
_USUAL_COUNTERS = {"energy_import": 100, "energy_export": 100}
PUBLISHED = Published()


def choose(
    identity: Identity,
    answer: Mapping[str, Any],
    own: Collection[Profile],
    shipped: Collection[Profile],
    published: Published = PUBLISHED,
) -> Choice:
    """Choose for a product that answered: own profile, shipped one, inference, recognition.

    A shipped profile that claims the product but does not fit its answers is dropped, with a
    warning; the user's own never is. An undescribed product is interpreted by its published layout,
    if that fits.
    """
    inferred = _inferred(identity, answer, published)
    for shelf in (own, shipped):
        claim = _best(_claiming(shelf, identity.product_id, answer), answer)
        if claim is None:
            continue
        if shelf is shipped and _loses(claim, inferred, answer):
            instead = Choice(inferred)
            if not inferred.keys:
                instead = recognise(answer, [*own, *shipped], published)
            return _instead(claim, instead)
        if shelf is own and not identity.described:
            return Choice(claim)
        return Choice(_completed(claim, inferred), tuple(_disagreements(claim, inferred)))
    if inferred.measures_electricity or _has_a_grid(inferred, answer):
        guessed = not identity.described
        return Choice(inferred, open=_unproven(inferred), guessed=guessed)
    rest = _undescribed(identity, answer)
    if identity.described and not rest:
        return Choice(inferred.without_measurements(), (_NO_METER,) if answer else ())
    return recognise(rest, [*own, *shipped], published)


def recognise(
    answer: Mapping[str, Any], shelf: Iterable[Profile], published: Published = PUBLISHED
) -> Choice:
    """Recognise a meter by the datapoints of an answer alone; unknown without proof."""
    if not answer:
        return Choice(UNKNOWN, (_say_unknown(answer),))
    known = {profile.name: profile for profile in shelf}
    layouts = ((layout.points, len(layout.products)) for layout in published.every())
    every = list(recognition.candidates(layouts, answer))
    typed = any(reading.cost == 0 for reading in every)
    every += _resembling(answer, known.values(), typed=typed)
    found = recognition.recognise(every, answer)
    if not found.profile.keys:
        return Choice(UNKNOWN, (_say_unknown(answer),), recognised=found)
    profile = _without_odd_counters(_named(found, known), found)
    profile = _without_tenths(profile, answer)
    warnings = (_say_recognised(profile), *_say_open(found, answer))
    return Choice(profile, warnings, found.open, guessed=True, recognised=found)


def _inferred(identity: Identity, answer: Mapping[str, Any], published: Published) -> Profile:
    """Infer a profile from the maker's specification, or else from the published layout."""
    if identity.described or not identity.product_id:
        return infer(identity.described, answer, identity.category)
    layout = published.of_product(identity.product_id)
    inferred = infer(layout, answer, identity.category)
    if not layout or _fits(inferred, answer):
        return inferred
    # A power above V x I may be of another moment or scale; a wrong voltage or frequency may not.
    rest = inferred.unproved(*POWERS)
    return rest if _fits(rest, answer) else infer((), answer, identity.category)


def _has_a_grid(profile: Profile, answer: Mapping[str, Any]) -> bool:
    """Return whether a device with only a voltage has a grid voltage: batteries have less."""
    values = decode(answer, profile).values
    return any(key.startswith("voltage") and is_usual(value) for key, value in values.items())


def _fits(profile: Profile, answer: Mapping[str, Any]) -> bool:
    """Return whether an answer fits this layout: a product may have another firmware."""
    known = [name for name in answer if name in profile.by_name]
    if answer and len(known) < len(answer) / 2:
        return False
    decoded = decode(answer, profile)
    strange = misfits(profile, answer) > _STRANGE * len(known)
    return not strange and not weigh(decoded.values).refusals


def _undescribed(identity: Identity, answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the undescribed datapoints, except those described as no measurement."""
    described = {name for point in identity.described for name in (point.name, point.code)}
    return {name: raw for name, raw in answer.items() if name not in described}


def _resembling(
    answer: Mapping[str, Any], shelf: Iterable[Profile], *, typed: bool
) -> Iterator[Candidate]:
    """Return the hand-written profiles that fit an answer.

    A profile that explains a long answer with all datapoints of its family proves a meter if a
    published layout confirms the types of all values (`typed`), which profiles don't specify.
    """
    for profile in shelf:
        known = sum(name in profile.by_name for name in answer)
        if known and not misfits(profile, answer) and _holds_enough(answer, profile, known):
            cost = len(answer) - known + _overflown(profile, answer)
            whole = typed and not cost and len(answer) >= _LONG and profile.is_met_by(answer)
            yield Candidate(profile.name, profile, _SHELF_COUNTS, cost, _WRITTEN * whole)


def _overflown(profile: Profile, answer: Mapping[str, Any]) -> int:
    """Count increments that are too large, and must be counters of another product."""
    return sum(
        point.code.startswith("add_ele") and (whole(answer.get(dp)) or 0) > _LARGEST_INCREMENT
        for dp, point in profile.datapoints.items()
        if not point.key
    )


def _holds_enough(answer: Mapping[str, Any], profile: Profile, known: int) -> bool:
    """Return whether an answer has most of a family's datapoints, or consists of them.

    A profile that lists products and requires no datapoints is for these products alone.
    """
    if profile.products and not profile.requires:
        return False
    held = sum(dp in answer for dp in profile.requires)
    whole = held == len(profile.requires)
    return whole or (
        held >= _MOST * len(profile.requires) and held >= _LEAST and known == len(answer)
    )


def _named(found: Recognised, shelf: Mapping[str, Profile]) -> Profile:
    """Return the profile on the shelf that equals what was recognised, if there is one."""
    same = [
        (heard.weight, len(shelf[heard.candidate.name].products), heard.candidate.name)
        for heard in found.heard
        if heard.candidate.name in shelf and _is_same(shelf[heard.candidate.name], found)
    ]
    return shelf[max(same)[-1]] if same else found.profile


def _is_same(profile: Profile, found: Recognised) -> bool:
    agreed = found.profile.datapoints
    for dp in found.voted | agreed.keys():
        ours, theirs = profile.datapoints.get(dp), agreed.get(dp)
        measured = (ours and ours.keys) or (theirs and theirs.keys)
        if measured and (not ours or not theirs or _says(ours) != _says(theirs)):
            return False
    return True


def _without_odd_counters(profile: Profile, found: Recognised) -> Profile:
    """Leave out counters in a scale that a single product has, unless it is this one's layout.

    39 of 41 products count `reverse_energy_total` in hundredths: a look-alike may be the exception.
    """
    odd = {
        dp
        for dp, point in profile.datapoints.items()
        if point.key in _USUAL_COUNTERS
        and point.divisor != _USUAL_COUNTERS[point.key]
        and sum(_products_that_say(found, dp, point)) == 1
    }
    doubted = profile.unproved("energy").datapoints
    return profile.with_datapoints(
        {dp: doubted[dp] if dp in odd else point for dp, point in profile.datapoints.items()}
    )


def _products_that_say(found: Recognised, dp: str, point: Datapoint) -> Iterator[int]:
    for heard in found.heard:
        same = heard.candidate.profile.datapoints.get(dp)
        if same and (same.key, same.divisor) == (point.key, point.divisor):
            exact = heard.candidate.cost == 0
            yield heard.candidate.products + exact


def _without_tenths(profile: Profile, answer: Mapping[str, Any]) -> Profile:
    """Leave out the counters next to ten-byte frames: some count hundredths, others tenths."""
    points = profile.datapoints
    framed = (answer.get(dp) for dp, point in points.items() if point.frame)
    if profile.is_inverter or not any(map(_is_of_ten, framed)):
        return profile
    return profile.unproved("energy")


def _is_of_ten(raw: object) -> bool:
    try:
        return codec_of(octets(raw), "", inverter=False) == "legacy-10"
    except DecodeError:
        return False


def _says(point: Datapoint) -> tuple[object, ...]:
    meaning = (point.key, point.divisor) if point.key else (point.frame is not None, point.suffix)
    return (*meaning, point.direction)


def faults(profile: Profile, answer: Mapping[str, Any]) -> int:
    """Count contradictions of an answer to a profile: impossible and unreadable values."""
    decoded = decode(answer, profile)
    return len(weigh(decoded.values).refusals) + len(decoded.warnings)


def hard_faults(profile: Profile, answer: Mapping[str, Any]) -> int:
    """Count those that slightly different sampling times do not explain."""
    return weigh(decode(answer, profile).values).off_grid + misfits(profile, answer)


def _loses(claim: Profile, inferred: Profile, answer: Mapping[str, Any]) -> bool:
    """Return whether an answer contradicts a profile more than the maker's specification."""
    if not inferred.keys:
        return hard_faults(claim, answer) > 0
    return faults(claim, answer) > faults(inferred, answer)


def _instead(claim: Profile, instead: Choice) -> Choice:
    """Replace the profile that claims the product by another choice, with a warning."""
    if instead.profile is UNKNOWN:
        instead = Choice(claim)
    sentence = f"the answer contradicts profile {claim.name}, which claims this product"
    return replace(instead, warnings=(sentence, *instead.warnings))


def _claiming(
    shelf: Iterable[Profile], product_id: str, answer: Mapping[str, Any]
) -> list[Profile]:
    """Return the profiles that claim a product; of several, those that fit its datapoints."""
    every = [profile for profile in shelf if product_id and product_id in profile.products]
    held = [profile for profile in every if profile.is_met_by(answer)]
    return held or (every if len(every) == 1 else [])


def _best(candidates: Sequence[Profile], answer: Mapping[str, Any]) -> Profile | None:
    return max(candidates, key=lambda one: (_score(one, answer), len(one.requires)), default=None)


def _score(profile: Profile, answer: Mapping[str, Any]) -> int:
    """Count the datapoints that a profile explains; an impossible value counts against two."""
    points = profile.by_name
    explained = sum(name in points for name in answer)
    return explained - 2 * faults(profile, answer)


def _unproven(profile: Profile) -> frozenset[str]:
    return frozenset(dp for dp, point in profile.datapoints.items() if point.trust != "sure")


def _disagreements(claim: Profile, inferred: Profile) -> Iterator[str]:
    """Return the datapoints that a profile and the maker's specification interpret differently."""
    for name, point in inferred.datapoints.items():
        known = claim.datapoints.get(name)
        if known is None or point.trust in ("doubtful", "unproven") or point.key is None:
            continue
        if (known.key, known.divisor) != (point.key, point.divisor):
            yield (
                f"DP {name} ({point.code}): interpreted by the profile {claim.name}, "
                "its maker describes it differently"
            )


def _completed(claim: Profile, inferred: Profile) -> Profile:
    """Add to a profile the datapoints described only by the maker."""
    known = claim.by_name
    added = {
        name: point
        for name, point in inferred.datapoints.items()
        if name not in known and point.code not in known
    }
    if not added:
        return claim
    return claim.with_datapoints({**claim.datapoints, **added})


_NO_METER = "its maker describes no electrical datapoint: this is not a meter, nothing is published"


def _say_recognised(profile: Profile) -> str:
    like = "" if profile.name == "recognised" else f" as {profile.name} ({profile.title})"
    return (
        f"the product is unknown; it is recognised by its datapoints alone{like}: "
        "set product_id, mapping_file or profile to be sure"
    )


def _say_open(found: Recognised, answer: Mapping[str, Any]) -> Iterator[str]:
    """Return the warning about datapoints left out because known layouts disagree."""
    left = [dp for dp in answer if dp in found.open and dp not in found.profile.datapoints]
    if left:
        yield f"left out until an answer shows their meaning: DP {', '.join(left)}"


def _say_unknown(answer: Mapping[str, Any]) -> str:
    sent = f"DP {', '.join(list(answer)[:20])}" if answer else "no datapoint"
    return f"the product is unknown; it sent {sent}: set product_id, mapping_file or profile"
