"""Errors of a profile, in sentences for its author."""

from typing import Any

from pydantic import ValidationError

from esquirell.domain.frames.codecs import CODECS
from esquirell.domain.nearest import nearest
from esquirell.domain.profile import Datapoint, Profile
from esquirell.domain.quantity import QUANTITIES

_DATAPOINT = 'must be a table, such as {{ code = "cur_power", key = "active_power" }}'
_TEXT = "must be text in quotes"
_NUMBER = "must be a number"
_LIST = 'must be a list, such as ["18", "19"]'

# The kinds of pydantic's errors that the models can cause; each text follows the place.
_PROBLEMS = {
    "missing": "is missing",
    "string_type": _TEXT,
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "may hold only a-z, 0-9 and _",
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "int_type": _NUMBER,
    "int_parsing": _NUMBER,
    "int_from_float": "must be a whole number",
    "greater_than": "must be greater than {gt:g}",
    "tuple_type": _LIST,
    "literal_error": "must be {expected}",
    "model_type": _DATAPOINT,
    "model_attributes_type": _DATAPOINT,
    "dict_type": "must be a table",
    "mapping_type": "must be a table",
}


def first_sentence(error: ValidationError) -> str:
    """Return the place of the first error, and what to write there instead."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place} {_problem(first['loc'], first)}"


def _problem(place: tuple[int | str, ...], fault: Any) -> str:  # noqa: ANN401 - pydantic's dict
    last = str(place[-1])
    match fault["type"], last:
        case "extra_forbidden", _:
            known = Datapoint if len(place) > 1 else Profile
            keys = known.model_fields.keys() - {"name"}
            return f"is not a known key; the nearest known key is {nearest(last, keys)}"
        case "value_error", "key":
            return f"{fault['input']} is not a quantity; the nearest is {_quantity(fault['input'])}"
        case "value_error", "frame":
            known_frame = nearest(fault["input"], ["auto", *CODECS])
            return f"{fault['input']} is not a known frame; the nearest is {known_frame}"
        case "value_error", _:
            return f"is not valid: {fault['ctx']['error']}"
    return _PROBLEMS.get(fault["type"], "is not valid").format_map(fault.get("ctx", {}))


def _quantity(key: str) -> str:
    """Return the nearest valid key, with or without its suffix."""
    start, _, suffix = key.rpartition("_")
    with_suffix = [f"{name}_{suffix}" for name in QUANTITIES] if start else []
    return nearest(key, [*QUANTITIES, *with_suffix])
