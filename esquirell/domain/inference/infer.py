"""A profile out of a specification and what the device answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from esquirell.domain.frames.text import looks_like_json
from esquirell.domain.inference import correction, counters, neighbours, scaling, unspoken
from esquirell.domain.inference.bare import undescribed_frames
from esquirell.domain.inference.draft import Draft
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
    drafts = [_draft(spec, _raw(spec, answer)) for spec in known]
    neighbours.settle(drafts, answer)
    unspoken.adopt(drafts)
    correction.correct(drafts)
    counters.choose(drafts)
    neighbours.inverter(drafts, category, answer)
    if category not in INVERTERS:
        neighbours.total_of_phases(drafts, answer)
    refresh = tuple(
        int(one.spec.name)
        for one in drafts
        if one.key and one.spec.code.startswith("cur_") and one.spec.name.isdigit()
    )
    points = {one.spec.name: one.datapoint() for one in sorted(drafts, key=_rank)}
    return Profile(
        name="inferred",
        title="Tuya meter",
        category=category,
        refresh=refresh,
        datapoints=points,
    )


def _undescribed(described: Sequence[Specified], answer: Mapping[str, Any]) -> list[Specified]:
    told = {spec.name for spec in described} | {spec.code for spec in described}
    by_code = [
        Specified(name, name, _kind(raw))
        for name, raw in answer.items()
        if name and name not in told and not name.isdigit()
    ]
    return [*by_code, *(undescribed_frames(told, answer) if described else ())]


def _kind(raw: object) -> str:
    if isinstance(raw, str) or looks_like_json(raw):
        return "raw"
    return "boolean" if isinstance(raw, bool) else ""


def _raw(spec: Specified, answer: Mapping[str, Any]) -> object:
    return answer.get(spec.name, answer.get(spec.code))


def _draft(spec: Specified, raw: object) -> Draft:
    draft = Draft(spec)
    suffix = frame_suffix(spec.code, spec.kind)
    if suffix is not None:
        draft.frame, draft.suffix = "auto", suffix
    elif isinstance(raw, str) and looks_like_json(raw) and '"L1"' in raw:
        draft.frame = "auto"
    elif spec.kind not in _TEXT:
        draft.raw, draft.is_number = _number(raw), True
        draft.meaning = meaning_of(spec)
        if draft.meaning:
            scaling.scale(draft)
        elif (counter := counter_added_to(spec)) is not None:
            draft.adds, draft.divisor = counter, scaling.increments(spec)
        elif "ele" in spec.code:
            draft.divisor = 10 ** (spec.scale or 0)
    return draft


def _number(raw: object) -> int | None:
    """Take a raw value for evidence if it is a number that a device can have counted."""
    number = whole(raw)
    return number if number is not None and abs(number) < _MOST_COUNTED else None


def _rank(draft: Draft) -> tuple[bool, bool]:
    """Put first what says `total`, then what is sure: of one meaning the first counts."""
    return ("total" not in draft.spec.code.lower(), draft.trust == "doubtful")
