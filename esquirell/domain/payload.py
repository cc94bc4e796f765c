"""Payloads from people and programs: parsed from JSON, with their errors and secrets."""

import json
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError

from esquirell.domain.errors import CommandError

PAYLOAD_LIMIT = 64 * 1024
LONGEST_PLACE = 64


def read_json(payload: bytes) -> dict[str, Any]:
    """Return the object in a payload; an empty payload is an empty object.

    Raises CommandError (`too_large`, `invalid_json`, `invalid_payload`).
    """
    if len(payload) > PAYLOAD_LIMIT:
        raise CommandError("too_large", f"the payload has over {PAYLOAD_LIMIT // 1024} KiB")
    if not payload.strip():
        return {}
    try:
        data = parse_json(payload.decode())
    except RepeatedKeyError as error:
        raise CommandError("invalid_json", f"the payload is ambiguous: {error}") from None
    except ValueError:
        raise CommandError("invalid_json", "the payload is not JSON in UTF-8") from None
    if not isinstance(data, dict):
        raise CommandError("invalid_payload", "the payload must be a JSON object, such as {}")
    return data


def read_foreign(payload: bytes | str) -> dict[str, Any]:
    """Return the object in a message from anywhere; an empty one if it is not an object."""
    try:
        data = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


class RepeatedKeyError(ValueError):
    """A JSON object has a key twice: programs differ in which one counts."""


def parse_json(text: str) -> Any:  # noqa: ANN401 - JSON is anything
    """Parse JSON. Raises ValueError.

    Values that can't be written again (NaN, 1e999, half a surrogate pair) are rejected: a recorded
    command containing them could not be shown.
    """
    try:
        data = json.loads(text, object_pairs_hook=_each_key_once)
        json.dumps(data, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return data


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise RepeatedKeyError("an object has the same key twice")
    return found


_WHOLE = "must be a whole number"
_NUMBER = "must be a number"
_FLAG = "must be true or false"
_SLUG = "^[a-z0-9_-]+$"
# Sentences for the most common kinds of pydantic's errors; others have pydantic's own message.
PROBLEMS = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "string_type": "must be text",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "bool_type": _FLAG,
    "bool_parsing": _FLAG,
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "timezone_aware": "must have a time zone, such as 2026-11-22T10:15:00Z",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must not be empty",
    "string_too_long": "may have at most {max_length} characters",
    "literal_error": "must be {expected}",
    "value_error": "{error}",
}
# For these pydantic adds each permitted type to the location of the error.
_UNIONS = {
    "transaction": "must be text or a number",
    "invert": 'must be true, false or a list of phases, such as ["b"]',
    "push": 'must be true, false or "auto"',
}


def sentence(error: ValidationError) -> str:
    """Return the first problem as a sentence that does not repeat what was sent."""
    first = error.errors(include_url=False, include_input=False)[0]
    # An unknown field may have a name of any length.
    place = ".".join(str(part)[:LONGEST_PLACE] for part in first["loc"])
    context = first.get("ctx", {})
    if first["loc"] and first["loc"][0] in _UNIONS:
        place = str(first["loc"][0])
        message = _UNIONS[place]
    elif context.get("pattern") == _SLUG:
        message = "may contain only a-z, 0-9, _ and -"
    elif first["type"] in PROBLEMS:
        message = PROBLEMS[first["type"]].format_map(context)
    else:
        message = first["msg"].replace("Input should", "must")
    return f"{place}: {message}" if place else message


def secret_fields(model: type[BaseModel]) -> tuple[str, ...]:
    """Return the names of a model's secret fields."""
    return tuple(name for name in model.model_fields if SecretStr in kinds_of(model, name))


def kinds_of(model: type[BaseModel], field: str) -> tuple[Any, ...]:
    """Return the types that a field accepts, several if it is a union."""
    annotation = model.model_fields[field].annotation
    united = get_origin(annotation) in (UnionType, Union)
    return get_args(annotation) if united else (annotation,)
