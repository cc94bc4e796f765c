"""Meters added while the service runs: one file per meter in the state directory.

Each is a TOML file with the keys of one `[[meters]]` table, readable by its owner only.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from esquirell.domain.errors import ConfigError, DiskError
from esquirell.domain.meter import Meter, in_natural_order
from esquirell.domain.record import record
from esquirell.settings.files import parse_toml
from esquirell.settings.layers import Table, prepare_table
from esquirell.settings.origins import Origins
from esquirell.settings.state_files import METERS


@record
class Edit:
    """A change to test before it is written: a meter's table, or None to remove the meter."""

    name: str
    table: Mapping[str, Any] | None


def folder_of(state_dir: Path) -> Path:
    """Return the folder that holds the files."""
    return state_dir / METERS


def file_of(state_dir: Path, name: str) -> Path:
    """Return the file of a meter, whether or not it exists."""
    return folder_of(state_dir) / f"{name}.toml"


def names(state_dir: Path) -> list[str]:
    """Return the names of the added meters, in natural order. Raises ConfigError."""
    return [file.stem for file in _files(state_dir)]


def include(
    data: Table,
    state_dir: Path,
    origins: Origins,
    edit: Edit | None = None,
    but: Collection[str] = (),
) -> list[str]:
    """Add these meters, except those in `but`, to the configuration; return their names.

    `edit` replaces the content of one file. Raises ConfigError for an invalid file, and for a name
    that the configuration uses as well.
    """
    configured = data.setdefault("meters", [])
    known = [table.get("name") for table in configured if isinstance(table, dict)]
    included = []
    for file, table in _tables(state_dir, edit, but):
        name = str(table["name"])
        if name in known:
            raise ConfigError(
                f"meter {name} is defined in {origins.file} and in {file}: remove one of them"
            )
        origins.note(("meters", name), str(file))
        prepare_table(table, Meter, ("meters", name), file.parent, origins)
        configured.append(table)
        included.append(name)
    return included


def are_hidden(state_dir: Path) -> bool:
    """Return whether this user may not see which meters were added; that is no error."""
    try:
        with os.scandir(folder_of(state_dir)):
            return False
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False


def version_of(state_dir: Path) -> tuple[tuple[str, int, int, int], ...]:
    """Return a value that changes with every change to the files; empty when there are none."""
    try:
        with os.scandir(folder_of(state_dir)) as entries:
            found = [(entry.name, entry.stat()) for entry in entries if _is_meter(entry.name)]
    except OSError:
        return ()
    return tuple(
        sorted((name, seen.st_mtime_ns, seen.st_size, seen.st_mode) for name, seen in found)
    )


def _is_meter(name: str) -> bool:
    return name.endswith(".toml") and not name.startswith(".")


def _tables(
    state_dir: Path, edit: Edit | None, but: Collection[str]
) -> Iterator[tuple[Path, Table]]:
    for file in _files(state_dir):
        if file.stem not in but and (edit is None or file.stem != edit.name):
            yield file, _read(file)
    if edit is not None and edit.table is not None:
        yield file_of(state_dir, edit.name), dict(edit.table) | {"name": edit.name}


def _files(state_dir: Path) -> list[Path]:
    folder = folder_of(state_dir)
    try:
        files = [file for file in folder.iterdir() if _is_meter(file.name)]
        return sorted(files, key=lambda file: in_natural_order(file.stem))
    except FileNotFoundError:
        return []
    except PermissionError:
        return []  # see `are_hidden`
    except NotADirectoryError:
        if folder.exists():
            raise ConfigError(f"{folder} must be a folder: remove the file of this name") from None
        return []
    except OSError as error:
        raise DiskError(f"{folder} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{folder} can't be read: {error}") from error


def _read(file: Path) -> Table:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except PermissionError as error:
        raise ConfigError(
            f"{file} can't be read by this user: use sudo, or run as its owner"
        ) from error
    except OSError as error:
        raise DiskError(f"{file} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} must be text in UTF-8") from error
    table = parse_toml(text, file)
    if table.get("name", file.stem) != file.stem:
        raise ConfigError(f"{file}: name must be {file.stem}, the name of the file")
    return table | {"name": file.stem}
