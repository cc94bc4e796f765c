"""Environment variables, put over what the file says."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from esquirell.domain.errors import ConfigError
from esquirell.settings.environment import Assignment
from esquirell.settings.keys import LISTS, SECTIONS
from esquirell.settings.layers import Table, cover, prepare, prepare_table
from esquirell.settings.places import Places, Route


def cover_tables(data: Table, given: Iterable[Assignment], folder: Path, places: Places) -> None:
    """Put single settings, sections and whole lists over those of `data`.

    Relative paths start from `folder`. Raises ConfigError as `prepare` does.
    """
    top = _top(given, places)
    prepare(top, folder, places)
    for name, value in top.items():
        if name in SECTIONS:
            cover(data.setdefault(name, {}), value, SECTIONS[name])
        else:
            data[name] = value


def cover_items(data: Table, given: Iterable[Assignment], folder: Path, places: Places) -> None:
    """Put keys of single meters and schedules over those of `data`.

    Relative paths start from `folder`. Raises ConfigError as `prepare` does, and for a meter or
    schedule that `data` does not have.
    """
    for (kind, spelt), ones in _by_item(given).items():
        item = _item(data.get(kind, []), spelt, ones[0])
        route = (kind, item["name"])
        for assignment in ones:
            places.note((*route, assignment.key), assignment.label)
        table = {assignment.key: assignment.value for assignment in ones}
        prepare_table(table, LISTS[kind], route, folder, places)
        cover(item, table, LISTS[kind])


def _top(given: Iterable[Assignment], places: Places) -> Table:
    top: Table = {}
    for assignment in given:
        if assignment.table and assignment.table[0] in LISTS:
            continue
        table = top.setdefault(assignment.table[0], {}) if assignment.table else top
        table[assignment.key] = assignment.value
        places.note((*assignment.table, assignment.key), assignment.label)
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
