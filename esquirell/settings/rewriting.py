"""Updating a configuration in place; everything else that the user wrote stays.

Not re-exported by the package: only the command line writes.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT, Table

from esquirell.domain.errors import ConfigError
from esquirell.settings import private_files


@dataclass(frozen=True, slots=True)
class Update:
    """New values for a meter; None leaves the old one."""

    local_key: str | None = None
    product_id: str | None = None


def rewrite(source: Path, updates: Mapping[str, Update]) -> list[Path]:
    """Write new keys and product ids of meters, by name, in place of the old ones.

    A key goes into the meter's local_key_file, else into the configuration. Returns the files that
    were written. Raises ConfigError, and then nothing was written.
    """
    source = source.resolve()
    document = _parse(source)
    before = document.as_string()
    files: dict[Path, str] = {}
    for table, update in _affected(document, updates):
        files |= _key_file(table, update, source.parent)
        _put(table, update)
    if document.as_string() != before:
        files[source] = document.as_string()
    _write(files, source)
    return list(files)


def _parse(source: Path) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(source.read_text(encoding="utf-8"))
    except (OSError, ValueError, TOMLKitError) as error:
        raise ConfigError(f"{source} can't be changed: {error}") from error


def _affected(
    document: tomlkit.TOMLDocument, updates: Mapping[str, Update]
) -> Iterator[tuple[Table, Update]]:
    tables = document.get("meters")
    for table in tables if isinstance(tables, AoT) else ():
        if table.get("name") in updates:
            yield table, updates[table["name"]]


def _key_file(table: Table, update: Update, folder: Path) -> dict[Path, str]:
    file = table.get("local_key_file")
    if update.local_key is None or not file:
        return {}
    return {(folder / str(file)).resolve(): f"{update.local_key}\n"}


def _put(table: Table, update: Update) -> None:
    if update.local_key is not None and "local_key" in table:
        table["local_key"] = update.local_key
    elif update.local_key is not None and not table.get("local_key_file"):
        raise ConfigError(
            f"meters.{table['name']}: its local_key comes from a variable or a folder of secrets, "
            "which is not changed: put the new one there, or give local_key_file"
        )
    if update.product_id is not None:
        table["product_id"] = update.product_id


def _write(files: Mapping[Path, str], source: Path) -> None:
    """Write files that keep their owner and mode; a key, however, stays private to its owner."""
    old = {path: path.stat() for path in files if path.exists()}
    private_files.write(files)
    for path, was in old.items():
        mode = stat.S_IMODE(was.st_mode)
        path.chmod(mode if path == source else mode & ~0o007)
        if (was.st_uid, was.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(path, was.st_uid, was.st_gid)
