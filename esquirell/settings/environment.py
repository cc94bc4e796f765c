"""Settings in environment variables: `ESQUIRELL_SECTION__KEY`.

`ESQUIRELL_METERS` and `ESQUIRELL_SCHEDULES` hold a whole list as JSON, and
`ESQUIRELL_METERS__MAIN__LOCAL_KEY` one key of one of its tables (a `-` in the name becomes `_`).
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from esquirell.domain.errors import ConfigError
from esquirell.domain.nearest import nearest
from esquirell.domain.record import record
from esquirell.settings.files import CONFIG_VARIABLE
from esquirell.settings.layers import (
    LISTS,
    SECTIONS,
    Model,
    Table,
    cover,
    known_keys,
    prepare,
    prepare_table,
    takes_container,
)
from esquirell.settings.model import Configuration
from esquirell.settings.origins import Origins, Route

PREFIX = "ESQUIRELL_"
# How the command line is called from outside a container; used in hints.
PROGRAM_VARIABLE = "ESQUIRELL_PROGRAM"
_NO_SETTINGS = frozenset({CONFIG_VARIABLE, PROGRAM_VARIABLE})

Json = TypeVar("Json")

# A meter's name may contain "__": the last one separates it from the key.
_ITEM = re.compile(rf"({'|'.join(LISTS)})__(.+)__([a-z][a-z_]*)")


@record
class Assignment:
    """One key set by a variable; `label` names the variable and the key within its JSON."""

    label: str
    table: Route
    key: str
    value: Any


def read(environ: Mapping[str, str]) -> list[Assignment]:
    """Return the settings among the variables, each whole table before its single keys.

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
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{variable} must be JSON: {error}") from error
    if not isinstance(value, kind):
        shape = "a table {…}" if kind is dict else "a list […]"
        raise ConfigError(f"{variable} must be {shape} in JSON")
    return value


def cover_tables(data: Table, given: Iterable[Assignment], folder: Path, origins: Origins) -> None:
    """Apply single settings, sections and whole lists on top of `data`.

    Relative paths start from `folder`. Raises ConfigError as `prepare` does.
    """
    top = _top(given, origins)
    prepare(top, folder, origins)
    for name, value in top.items():
        if name in SECTIONS:
            cover(data.setdefault(name, {}), value, SECTIONS[name])
        else:
            data[name] = value


def cover_items(data: Table, given: Iterable[Assignment], folder: Path, origins: Origins) -> None:
    """Apply keys of single meters and schedules on top of `data`.

    Relative paths start from `folder`. Raises ConfigError as `prepare` does, and for a meter or
    schedule that `data` does not have.
    """
    for (kind, spelt), ones in _by_item(given).items():
        item = _item(data.get(kind, []), spelt, ones[0])
        route = (kind, item["name"])
        for assignment in ones:
            origins.note((*route, assignment.key), assignment.label)
        table = {assignment.key: assignment.value for assignment in ones}
        prepare_table(table, LISTS[kind], route, folder, origins)
        cover(item, table, LISTS[kind])


def _top(given: Iterable[Assignment], origins: Origins) -> Table:
    top: Table = {}
    for assignment in given:
        if assignment.table and assignment.table[0] in LISTS:
            continue
        table = top.setdefault(assignment.table[0], {}) if assignment.table else top
        table[assignment.key] = assignment.value
        origins.note((*assignment.table, assignment.key), assignment.label)
    return top


def _by_item(given: Iterable[Assignment]) -> dict[Route, list[Assignment]]:
    items: defaultdict[Route, list[Assignment]] = defaultdict(list)
    for assignment in given:
        if assignment.table and assignment.table[0] in LISTS:
            items[assignment.table].append(assignment)
    return items


def _item(items: list[Table], spelt: str, one: Assignment) -> Table:
    exact = [item for item in items if item.get("name") == spelt]
    # A shell can't set a variable with "-" in its name.
    loose = [item for item in items if str(item.get("name")).replace("-", "_") == spelt]
    if not exact + loose:
        raise ConfigError(f"{one.label} names none of the configured {one.table[0]}")
    return (exact + loose)[0]
