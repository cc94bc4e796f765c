"""A profile out of a specification and what the device answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from esquirell.domain.frames.text import looks_like_json
from esquirell.domain.inference import correction, neighbours, scaling
from esquirell.domain.inference.draft import Draft
from esquirell.domain.inference.meaning import frame_suffix, meaning_of
from esquirell.domain.inference.specification import Specified
from esquirell.domain.inference.units import unit_of
from esquirell.domain.profile import Profile

_TEXT = ("string", "enum", "bitmap", "boolean", "bool", "raw", "json", "bitm")


def infer(described: Sequence[Specified], answer: Mapping[str, Any], category: str = "") -> Profile:
    """Infer a profile from what the maker says, and correct it by what the device answers.

    `answer` is keyed by DP id or by code; codes in it that nobody described are taken for what
    their name says.
    """
    known = [*described, *_undescribed(described, answer)]
    drafts = [_draft(spec, _raw(spec, answer)) for spec in known]
    neighbours.settle(drafts)
    correction.correct(drafts)
    neighbours.inverter(drafts, category, answer)
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
    return [
        Specified(name, name, _kind(raw))
        for name, raw in answer.items()
        if name not in told and not name.isdigit()
    ]


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
        draft.raw = raw if isinstance(raw, int) and not isinstance(raw, bool) else None
        draft.meaning = meaning_of(spec.code, unit_of(spec.unit), spec.highest)
        if draft.meaning:
            scaling.scale(draft)
        elif "ele" in spec.code:
            draft.divisor = 10 ** (spec.scale or 0)
    return draft


def _rank(draft: Draft) -> tuple[bool, bool]:
    """Put first what says `total`, then what is sure: of one meaning the first counts."""
    return ("total" not in draft.spec.code.lower(), draft.trust == "doubtful")
