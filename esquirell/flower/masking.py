"""Masking secrets in what workers report, before Flower remembers or shows it."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, SecretStr

MASK = "***"
# Shorter ones would mask half of the page.
SHORTEST = 4

_NAME = r"(?:passw(?:or)?d|passphrase|secret|token|credential|(?:api|local|private|access)[_-]?key)"
_SECRET_NAME = re.compile(_NAME, re.IGNORECASE)
# A name and its value as Python or JSON writes them, also when the end was cut off.
_PAIR = re.compile(
    rf"""(?P<name>[\w-]*{_NAME}[\w-]*['"]?\s*[:=]\s*)"""
    r"""(?P<value>b?'(?:[^'\\]|\\.)*(?:'|$)|b?"(?:[^"\\]|\\.)*(?:"|$)|[^\s,'"})\]]+)""",
    re.IGNORECASE,
)


class Mask:
    """Masks known secrets everywhere, and the values of names that sound like secrets."""

    def __init__(self, secrets: Iterable[str]) -> None:
        spellings = {spelling for secret in secrets for spelling in _spellings(secret)}
        longest_first = sorted(spellings, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def text(self, text: str) -> str:
        return _PAIR.sub(rf"\g<name>'{MASK}'", self._known.sub(MASK, text))

    def data(self, data: Any) -> Any:  # noqa: ANN401 - JSON is anything
        """Mask secrets in JSON data."""
        match data:
            case str():
                return self.text(data)
            case list() | tuple():
                return [self.data(item) for item in data]
            case dict():
                return {key: self._entry(key, value) for key, value in data.items()}
        return data

    def _entry(self, key: object, value: object) -> object:
        named = isinstance(key, str) and _SECRET_NAME.search(key)
        return MASK if named and value and isinstance(value, str | int) else self.data(value)


def secrets_of(model: BaseModel) -> Iterator[str]:
    """Return all secrets in the settings."""
    for _, value in model:
        yield from _secrets(value)


def _secrets(value: object) -> Iterator[str]:
    match value:
        case SecretStr():
            yield value.get_secret_value()
        case BaseModel():
            yield from secrets_of(value)
        case tuple() | list():
            for item in value:
                yield from _secrets(item)
        case Mapping():
            yield from _secrets(list(value.values()))


def _spellings(secret: str) -> Iterator[str]:
    """Return a secret as it is, and as Python and JSON write it."""
    if len(secret) >= SHORTEST:
        yield secret
        yield repr(secret)[1:-1]
        yield json.dumps(secret)[1:-1]
