"""Moving a configuration to where a system service reads it from.

Not re-exported by the package, like `writing`: it loads tomlkit.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import tomlkit
from pydantic import BaseModel

from esquirell.domain.errors import ConfigError
from esquirell.domain.payload import secret_fields
from esquirell.domain.record import record
from esquirell.settings import secret_files
from esquirell.settings.layers import LISTS, SECTIONS, Table, path_keys, tables
from esquirell.settings.loading import load
from esquirell.settings.model import Settings
from esquirell.settings.origins import Origins
from esquirell.settings.urls import split_password


@record
class Relocated:
    """A configuration with its secrets and other files separated from it.

    `secrets` maps credential names to secrets, `files` maps new names beside the configuration to
    the files it refers to.
    """

    text: str
    secrets: Mapping[str, str]
    files: Mapping[str, Path]


def relocate(source: Path, state_dir: Path) -> Relocated:
    """Split a configuration into its parts; comments stay. Raises ConfigError for an invalid one.

    Only the file counts, not the environment of the user who moves it.
    """
    secrets = _secrets(load(source, {}), source)
    document = tomlkit.parse(source.read_text("utf-8-sig"))
    named = _take_out(document, source)
    document["state_dir"] = str(state_dir)
    return Relocated(tomlkit.dumps(document), secrets, named)


def _secrets(settings: Settings, source: Path) -> dict[str, str]:
    found = {}
    for route, model in _models(settings):
        for key in secret_fields(type(model)):
            if secret := getattr(model, key).get_secret_value():
                found[_credential(source, *route, key)] = secret
    return found


def _models(settings: Settings) -> Iterator[tuple[tuple[str, ...], BaseModel]]:
    for name in SECTIONS:
        yield (name,), getattr(settings, name)
    for name in LISTS:
        for item in getattr(settings, name):
            # What is in the state directory is not part of the configuration.
            if name != "meters" or item.name not in settings.added:
                yield (name, item.name), item


def _credential(source: Path, *route: str) -> str:
    name = secret_files.credential(*route)
    if name is None:
        raise ConfigError(f"{source}: {'.'.join(route)} can't be the name of a file")
    return name


def _take_out(document: Table, source: Path) -> dict[str, Path]:
    """Remove secrets and folders from a document; return the files it names, by new name."""
    named: dict[str, Path] = {}
    for route, model, table in tables(document, Origins(str(source))):
        for key in secret_fields(model):
            table.pop(key, None)
            table.pop(f"{key}_file", None)
        if "password" in secret_fields(model) and "url" in table:
            table["url"] = split_password(table["url"])[0]
        for key in path_keys(model):
            if key in table and key != "state_dir":
                path = (source.parent / table[key]).absolute()
                table[key] = _new_name(path, route, named)
                named[table[key]] = path
    return named


def _new_name(path: Path, route: tuple[str, ...], taken: Mapping[str, Path]) -> str:
    return path.name if taken.get(path.name, path) == path else "-".join((*route, path.name))
