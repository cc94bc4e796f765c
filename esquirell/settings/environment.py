"""Settings in environment variables: `ESQUIRELL_SECTION__KEY`.

`ESQUIRELL_METERS` and `ESQUIRELL_SCHEDULES` hold a whole list as JSON, and
`ESQUIRELL_METERS__MAIN__LOCAL_KEY` one key of one of its tables (a `-` in the name becomes `_`).
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from esquirell.domain.errors import ConfigError
from esquirell.domain.nearest import nearest
from esquirell.settings.files import CONFIG_VARIABLE
from esquirell.settings.keys import LISTS, SECTIONS, Model, known_keys, takes_container
from esquirell.settings.model import Configuration
from esquirell.settings.places import Route

PREFIX = "ESQUIRELL_"
# How the command line is called from outside a container, for its hints.
PROGRAM_VARIABLE = "ESQUIRELL_PROGRAM"
_NO_SETTINGS = frozenset({CONFIG_VARIABLE, PROGRAM_VARIABLE})

Json = TypeVar("Json")

# A meter's name may contain "__": the last one separates it from the key.
_ITEM = re.compile(rf"({'|'.join(LISTS)})__(.+)__([a-z][a-z_]*)")


@dataclass(frozen=True, slots=True)
class Assignment:
    """One key set by a variable; `label` names the variable, and the key within its JSON."""

    label: str
    table: Route
    key: str
    value: Any


def read(environ: Mapping[str, str]) -> list[Assignment]:
    """Return the variables that are settings, each whole table before its single keys.

    Raises ConfigError for a variable that is not a setting or does not hold valid JSON.
    """
    names = sorted(name for name in environ if name.startswith(PREFIX))
    return [
        assignment
        for name in names
        if name not in _NO_SETTINGS
        for assignment in _assignments(name, environ[name])
    ]


def _assignments(variable: str, text: str) -> Iterator[Assignment]:
    table, key, model = _aim(variable)
    if not table and key in SECTIONS:
        for inner, value in _json(variable, text, dict).items():
            yield Assignment(f"{variable}: {inner}", (key,), inner, value)
    elif not table and key in LISTS:
        yield Assignment(variable, table, key, _json(variable, text, list))
    elif takes_container(model, key) and text.lstrip().startswith(("[", "{")):
        yield Assignment(variable, table, key, _json(variable, text, object))
    else:
        yield Assignment(variable, table, key, text)


def _aim(variable: str) -> tuple[Route, str, Model]:
    rest = variable.removeprefix(PREFIX).lower()
    item = _ITEM.fullmatch(rest)
    *table, key = item.groups() if item else rest.split("__", 1)
    model = (LISTS if item else SECTIONS).get(table[0]) if table else Configuration
    if model is None or key not in known_keys(model):
        closest = nearest(variable, _names())
        raise ConfigError(f"{variable} is not a setting; the nearest known one is {closest}")
    return tuple(table), key, model


def _names() -> Iterator[str]:
    for key in known_keys(Configuration):
        yield f"{PREFIX}{key.upper()}"
    for section, model in SECTIONS.items():
        for key in known_keys(model):
            yield f"{PREFIX}{section.upper()}__{key.upper()}"
    for kind, model in LISTS.items():
        for key in known_keys(model):
            yield f"{PREFIX}{kind.upper()}__NAME__{key.upper()}"


def _json(variable: str, text: str, kind: type[Json]) -> Json:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{variable} must be JSON: {error}") from error
    if not isinstance(value, kind):
        shape = "a table {…}" if kind is dict else "a list […]"
        raise ConfigError(f"{variable} must be {shape} in JSON")
    return value
