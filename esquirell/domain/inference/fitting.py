"""Whether an answer is one that a described datapoint can have sent."""

from enum import IntEnum

from esquirell.domain.frames.text import looks_like_json
from esquirell.domain.inference.specification import Specified
from esquirell.domain.numbers import whole

_TEXTS = ("string", "raw", "json")
_BOOLEANS = ("bool", "boolean")
_NUMBERS = ("value", "integer", "")
_BITMAPS = ("bitmap", "bitm")
# A maker's maximum is no limit: 257.1 V came under one of 250.0. But what is far higher is doubted,
# and what is a hundred times as high is something else.
_BEYOND = 1.3
_FAR_BEYOND = 100


class Fit(IntEnum):
    """How well a raw value fits: another kind, this kind but out of bounds, all as described."""

    NO = 0
    KIND = 1
    FULL = 2


def fit(spec: Specified, raw: object) -> Fit:
    """Return how well a raw value fits what is described; None fits everything."""
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
