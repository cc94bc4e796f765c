"""One sentence about what pydantic finds wrong in a configuration."""

from typing import Any

from pydantic import ValidationError

from esquirell.domain.payload import PROBLEMS
from esquirell.settings.layers import LISTS, SECTIONS, Table, item_name
from esquirell.settings.origins import Origins, Route

_TEXT = "must be text in quotes"
_TABLE = "must be a table"
_NUMBER = "must be a number"
_DATE = 'must be a date, such as "2026-11-22"'
_TIME = 'must be a time of day, such as "22:00"'

# Where a file is written otherwise than a payload; each text follows the key.
_PROBLEMS = PROBLEMS | {
    "string_type": _TEXT,
    "path_type": _TEXT,
    "int_parsing_size": "must be a whole number",
    "tuple_type": 'must be a list, such as ["a", "b"]',
    "dict_type": _TABLE,
    "model_type": _TABLE,
    "model_attributes_type": _TABLE,
    "extra_forbidden": "is not a known key",
    "decimal_type": _NUMBER,
    "decimal_parsing": _NUMBER,
    "date_type": _DATE,
    "date_parsing": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_from_datetime_inexact": _DATE,
    "time_type": _TIME,
    "time_parsing": _TIME,
    "literal_error": "must be {expected}, in quotes",
    "string_pattern_mismatch": "may contain only a-z, 0-9, _ and -",
    "string_too_short": "must not be empty",
    "string_too_long": "may have at most {max_length} characters",
}
_UNIONS = {"invert": 'must be true, false or a list of phases, such as ["b"]'}


def first_sentence(error: ValidationError, data: Table, origins: Origins) -> str:
    """Return the first problem with `data`; values are never part of it."""
    first = error.errors(include_url=False, include_input=False)[0]
    table, key = _locate(first["loc"], data)
    pattern = _UNIONS.get(key) or _PROBLEMS.get(first["type"], "is not valid")
    return origins.about(table, key, pattern.format_map(first.get("ctx", {})))


def _locate(loc: tuple[int | str, ...], data: Table) -> tuple[Route, str]:
    names: list[Any] = [*loc, "", ""]
    top, second, third = names[:3]
    if top in LISTS and isinstance(second, int):
        key = f"{third}{_place_within(loc[3:])}"
        return (top, item_name(data[top][second], second)), key
    if top in SECTIONS:
        return (top,), str(second)
    return (), str(top)


def _place_within(rest: tuple[int | str, ...]) -> str:
    """Return the place in a list of tables within a table; empty for a plain list."""
    if len(rest) > 1 and isinstance(rest[0], int):
        return f" no. {rest[0] + 1}: {rest[1]}"
    return ""
