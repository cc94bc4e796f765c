"""Reading TOML that people write: what is wrong with it, and what to type instead."""

import re
import tomllib
from typing import Any

from esquirell.domain.errors import ConfigError

# What to do about the errors of tomllib that leave it open, by how they start.
_REMEDIES = {
    "Cannot declare": "a section may occur once; put its keys together",
    "Cannot overwrite a value": "a key may occur once in a section",
    "Unescaped '\\'": "put the text between single quotes",
    "Invalid value": "text must be in quotes",
}
_LINE = re.compile(r"\(at line ([0-9]+), ")
# Word processors and web pages put these in place of ".
_TYPOGRAPHIC = frozenset("\u201c\u201d\u201e")


def parse_toml(text: str, source: object) -> dict[str, Any]:
    """Return the contents of a TOML text; `source` is what an error calls it.

    Raises ConfigError. No line of the text is part of it, as it may hold a secret.
    """
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # includes thousands of digits or brackets
        raise ConfigError(f"{source} is not valid TOML: {_problem(text, str(error))}") from error


def _problem(text: str, said: str) -> str:
    found = _LINE.search(said)
    line = text.splitlines()[int(found[1]) - 1 :][:1] if found else []
    if line and not _TYPOGRAPHIC.isdisjoint(line[0]):
        return f'{said}: that line has typographic quotation marks; type " in their place'
    remedies = (remedy for start, remedy in _REMEDIES.items() if said.startswith(start))
    return ": ".join([said, *remedies])
