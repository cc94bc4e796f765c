"""Specifications of made-up products, and how their answers are read."""

from collections.abc import Mapping
from typing import Any

from esquirell.domain.decoding import Decoded, decode
from esquirell.domain.inference import infer, specified
from esquirell.domain.inference.units import unit_of

Point = tuple[str, str, int | None, object]


def integers(*points: Point, **also: tuple[str, object]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Build a mapping and an answer of (code, unit, scale, raw), and of kind and raw by code."""
    mapping: dict[str, Any] = {}
    answer: dict[str, Any] = {}
    for dp, (code, unit, scale, raw) in enumerate(points, 101):
        counts = (measured := unit_of(unit)) and measured.dimension == "energy"
        room = 99_999_999 if counts and "add" not in code else 50_000
        values = {"unit": unit, "scale": scale, "max": room}
        mapping[str(dp)] = {"code": code, "type": "Integer", "values": values}
        answer[str(dp)] = raw
    for dp, (code, (kind, raw)) in enumerate(also.items(), 6):
        mapping[str(dp)] = {"code": code, "type": kind, "values": "{}"}
        answer[str(dp)] = raw
    return mapping, answer


def read(mapping: Mapping[str, Any], answer: Mapping[str, Any], category: str = "cz") -> Decoded:
    return decode(answer, infer(specified(mapping), answer, category))
