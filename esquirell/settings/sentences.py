"""One sentence about what is wrong with a configuration and what to change."""

from typing import Any

from pydantic import ValidationError

from esquirell.settings.keys import LISTS, SECTIONS
from esquirell.settings.layers import Table, item_name
from esquirell.settings.origins import Origins, Route

_TEXT = "must be text in quotes"
_WHOLE = "must be a whole number"
_FLAG = "must be true or false"
_LIST = 'must be a list, such as ["a", "b"]'
_TABLE = "must be a table"
_NUMBER = "must be a number"
_DATE = 'must be a date, such as "2026-11-22"'
_TIME = 'must be a time of day, such as "22:00"'

# The error types that the models can cause; each text follows the key.
_PROBLEMS = {
    "missing": "is missing",
    "string_type": _TEXT,
    "path_type": _TEXT,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "bool_type": _FLAG,
    "bool_parsing": _FLAG,
    "tuple_type": _LIST,
    "dict_type": _TABLE,
    "model_type": _TABLE,
    "model_attributes_type": _TABLE,
    "extra_forbidden": "is not a known key",
    "decimal_type": _NUMBER,
    "decimal_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "date_type": _DATE,
    "date_parsing": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_from_datetime_inexact": _DATE,
    "time_type": _TIME,
    "time_parsing": _TIME,
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}, in quotes",
    "string_pattern_mismatch": "may contain only a-z, 0-9, _ and -",
    "string_too_short": "must not be empty",
    "string_too_long": "may have at most {max_length} characters",
    "value_error": "{error}",
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
