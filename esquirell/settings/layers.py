"""Layers of settings: each source is checked by itself, then applied on top of another."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, get_origin

from pydantic import BaseModel

from esquirell.domain.errors import ConfigError
from esquirell.domain.meter import Meter
from esquirell.domain.nearest import nearest
from esquirell.domain.payload import kinds_of, secret_fields
from esquirell.domain.schedule import Schedule
from esquirell.domain.tariff import Tariff
from esquirell.settings.model import Configuration
from esquirell.settings.origins import Origins, Route
from esquirell.settings.sections import Section
from esquirell.settings.urls import split_password

Model = type[BaseModel]

LISTS: dict[str, Model] = {"meters": Meter, "schedules": Schedule, "tariffs": Tariff}
SECTIONS: dict[str, Model] = {
    name: field.annotation
    for name, field in Configuration.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
}

Table = dict[str, Any]


def path_keys(model: Model) -> tuple[str, ...]:
    """Return the keys that hold a path, including those of secret files."""
    plain = tuple(name for name in model.model_fields if Path in kinds_of(model, name))
    return plain + tuple(f"{name}_file" for name in secret_fields(model))


def known_keys(model: Model) -> tuple[str, ...]:
    """Return all keys of a table."""
    return tuple(model.model_fields) + tuple(f"{name}_file" for name in secret_fields(model))


def takes_container(model: Model, key: str) -> bool:
    """Return whether a key may hold a list or a table."""
    if key not in model.model_fields:
        return False
    return any(get_origin(kind) in (tuple, dict) for kind in kinds_of(model, key))


def takes_only_numbers(model: Model, key: str) -> bool:
    """Return whether a key takes a number and no flag: `true` would count as 1."""
    kinds = kinds_of(model, key) if key in model.model_fields else ()
    plain = {kind.__origin__ if get_origin(kind) is Annotated else kind for kind in kinds}
    return bool(plain & {int, float, Decimal}) and bool not in plain


def tables(data: Table, origins: Origins) -> Iterator[tuple[Route, Model, Table]]:
    """Yield each table that is present, with its route and model; the top level first.

    Raises ConfigError for anything else in the place of a table.
    """
    yield (), Configuration, data
    for name, model in SECTIONS.items():
        if name in data:
            yield (name,), model, _table(data[name], name, origins)
    for name, model in LISTS.items():
        for number, item in enumerate(_items(data.get(name, []), name, origins)):
            yield (name, item_name(item, number)), model, item


def item_name(item: Table, number: int) -> str:
    """Return the name of a table in a list, or else its number, counted from one."""
    name = item.get("name")
    return name if name and isinstance(name, str) else f"no. {number + 1}"


def prepare(data: Table, folder: Path, origins: Origins) -> None:
    """Prepare all tables of a layer; see `prepare_table`."""
    for route, model, table in tables(data, origins):
        prepare_table(table, model, route, folder, origins)


def prepare_table(table: Table, model: Model, route: Route, folder: Path, origins: Origins) -> None:
    """Check the keys of a table, split URL and password, resolve paths against `folder`.

    Raises ConfigError for an unknown key, a secret set twice, and a flag instead of a number.
    """
    _refuse_unknown(table, model, route, origins)
    _part_password(table, model, route, origins)
    _refuse_double(table, model, route, origins)
    _refuse_flags(table, model, route, origins)
    for key in path_keys(model):
        if isinstance(table.get(key), str):
            if "\0" in table[key]:
                raise ConfigError(origins.about(route, key, "may not hold the character \\u0000"))
            table[key] = str((folder / table[key]).absolute())


def cover(table: Table, over: Table, model: Model) -> None:
    """Apply the keys of one table on top of another; a secret replaces its file, and vice versa."""
    for secret in secret_fields(model):
        pair = {secret, f"{secret}_file"}
        if pair & over.keys():
            for key in pair:
                table.pop(key, None)
    table.update(over)


def _table(value: object, name: str, origins: Origins) -> Table:
    if not isinstance(value, dict):
        raise ConfigError(origins.about((), name, f"must be a table: [{name}] in a file"))
    return value


def _items(value: object, name: str, origins: Origins) -> list[Table]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ConfigError(
            origins.about((), name, f"must be a list of tables: [[{name}]] in a file")
        )
    return value


def _refuse_unknown(table: Table, model: Model, route: Route, origins: Origins) -> None:
    known = known_keys(model)
    for key in table:
        if key not in known:
            raise ConfigError(origins.about(route, key, _unknown(key, known, route)))


def _unknown(key: str, known: tuple[str, ...], route: Route) -> str:
    if route and key in Configuration.model_fields:
        return "is not a key of this table: it belongs further up, before the first [section]"
    return f"is not a known key; the nearest known key is {nearest(key, known)}"


def _part_password(table: Table, model: Model, route: Route, origins: Origins) -> None:
    if "password" not in secret_fields(model) or not isinstance(table.get("url"), str):
        return
    table["url"], password = split_password(table["url"])
    if password is None:
        return
    if "password" in table:
        raise ConfigError(origins.about(route, "password", "is set twice: as password and in url"))
    table["password"] = password
    variable = origins.variable((*route, "url"))
    if variable:
        origins.note((*route, "password"), variable)


def _refuse_double(table: Table, model: Model, route: Route, origins: Origins) -> None:
    for secret in secret_fields(model):
        if secret in table and f"{secret}_file" in table:
            problem = f"is set together with {secret}_file: keep only one of them"
            raise ConfigError(origins.about(route, secret, problem))


def _refuse_flags(table: Table, model: Model, route: Route, origins: Origins) -> None:
    for key, value in table.items():
        if isinstance(value, bool) and takes_only_numbers(model, key):
            raise ConfigError(origins.about(route, key, "must be a number, not true or false"))
