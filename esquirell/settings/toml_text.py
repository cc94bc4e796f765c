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
}
_INVALID = "Invalid value"
_PLACE = re.compile(r"\(at line ([0-9]+), column ([0-9]+)\)")
_AFTER_A_WORD = re.compile(r"[\s#,\]}]")
# What other formats and languages call true and false.
_TRUTHS = frozenset({"true", "false", "yes", "no", "on", "off"})
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
    line, rest = _where(text, said)
    if not _TYPOGRAPHIC.isdisjoint(line):
        return f'{said}: that line has typographic quotation marks; type " in their place'
    if said.startswith(_INVALID):
        return f"{said}: {_instead_of(rest)}"
    remedies = (remedy for start, remedy in _REMEDIES.items() if said.startswith(start))
    return ": ".join([said, *remedies])


def _where(text: str, said: str) -> tuple[str, str]:
    """Return the line that an error is about, and what of it begins there; nothing at the end."""
    found = _PLACE.search(said)
    if not found:
        return "", ""
    line, column = map(int, found.groups())
    here = text.replace("\r\n", "\n").split("\n")[line - 1]
    return here, here[column - 1 :]


def _instead_of(value: str) -> str:
    """Return what to type instead of something that is no value."""
    if not value or value[0] in "#,]}":
        return "a value is missing"
    if _AFTER_A_WORD.split(value)[0].lower() in _TRUTHS:
        return "type true or false, in lower case and without quotes"
    return "text must be in quotes"
