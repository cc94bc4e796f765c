"""Secrets in files of their own.

Precedence, highest first: an environment variable (`KEY` or `KEY_file`), `KEY_file` in the
configuration, a file `section__key` in `$CREDENTIALS_DIRECTORY` (systemd), `/run/secrets`
(containers) or `credentials/` beside the configuration, the secret written into the configuration
itself. systemd passes a whole folder with a prefix of ours, `esquirell_`.
"""

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import SecretStr

from esquirell.domain.errors import ConfigError
from esquirell.domain.payload import secret_fields
from esquirell.settings.layers import Table, tables
from esquirell.settings.origins import Origins, Route

CONTAINER_SECRETS = Path("/run/secrets")
MOUNTED = Path("/run")
CREDENTIALS = "credentials"
PREFIX = "esquirell_"

_PLAIN = re.compile(r"[a-z0-9_-]+")


def folders(environ: Mapping[str, str], beside: Path) -> list[Path]:
    """Return the folders in which a service manager, a container or an administrator puts secrets.

    `beside` is the folder of the configuration file.
    """
    given = environ.get("CREDENTIALS_DIRECTORY")
    return [*([Path(given)] if given else []), CONTAINER_SECRETS, beside / CREDENTIALS]


def credential(*route: str) -> str | None:
    """Return the file name of a secret in those folders; None if it can't be a file name."""
    return "__".join(route) if all(_PLAIN.fullmatch(part) for part in route) else None


def holds_secrets(data: Table, origins: Origins) -> bool:
    """Return whether any secret is written into these tables."""
    return any(
        table.get(secret)
        for _, model, table in tables(data, origins)
        for secret in secret_fields(model)
    )


def exposed_files(data: Table, origins: Origins) -> list[Path]:
    """Return the secret files of these tables that every user of the machine can read.

    Files below /run are exempt: a container engine or systemd has put them there.
    """
    named = (
        Path(str(table[f"{key}_file"]))
        for _, model, table in tables(data, origins)
        for key in secret_fields(model)
        if table.get(f"{key}_file")
    )
    return [path for path in named if not path.is_relative_to(MOUNTED) and _is_exposed(path)]


def drop_open_token(data: Table) -> str | None:
    """Drop Home Assistant's token if other users can read it; return a warning.

    It is an administrator's token, which gives access to the whole house.
    """
    table = data.get("home_assistant", {})
    file = table.get("token_file")
    path = Path(str(file))
    is_open = _is_exposed(path, stat.S_IRWXG | stat.S_IRWXO)
    if file is None or path.is_relative_to(MOUNTED) or not is_open:
        return None
    del table["token_file"]
    return (
        f"home_assistant.token_file {path} can be read by others and is not used: chmod 600 {path}"
    )


def resolve(data: Table, where: Sequence[Path], origins: Origins) -> None:
    """Replace the secret files by their content.

    `where` are folders of secrets. Raises ConfigError for a file that is missing, empty, unreadable
    or not text.
    """
    for route, model, table in tables(data, origins):
        for key in secret_fields(model):
            found = _find(table, (*route, key), where, origins)
            if isinstance(found, str):
                table[key] = SecretStr(found)


def _is_exposed(path: Path, to: int = stat.S_IROTH) -> bool:
    try:
        return bool(path.stat().st_mode & to)
    except OSError:
        return False  # reading it reports the reason


def _find(table: Table, route: Route, where: Sequence[Path], origins: Origins) -> object:
    *above, key = route
    inline, file = table.get(key), table.pop(f"{key}_file", None)
    if file is not None:
        return _read(file, tuple(above), f"{key}_file", origins)
    if inline is not None and origins.variable(route):
        return inline
    for path in _mounted(route, where):
        return _read(path, tuple(above), key, origins)
    return inline


def _mounted(route: Route, where: Sequence[Path]) -> Iterator[Path]:
    name = credential(*route)
    if name is not None:
        candidates = (folder / file for folder in where for file in (name, f"{PREFIX}{name}"))
        # A folder that this user may not enter counts as empty.
        yield from (path for path in candidates if os.access(path, os.F_OK))


def _is_plain(path: Path) -> bool:
    """Whether reading the file ends; a pipe or a device may block.

    Folders pass: reading one reports it.
    """
    mode = path.stat().st_mode
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def _read(file: object, table: Route, key: str, origins: Origins) -> str:
    if not isinstance(file, str | Path):
        raise ConfigError(origins.about(table, key, "must be text in quotes"))
    try:
        if not _is_plain(Path(file)):
            raise ConfigError(origins.about(table, key, f"names {file}, which is not a plain file"))
        # Keys and passwords may end in a space: only the line end is removed.
        text = Path(file).read_bytes().decode().rstrip("\r\n")
        problem = "" if text else "it is empty"
    except OSError as error:
        problem = (error.strerror or "unknown error").lower()
    except ValueError:
        problem = "it is not text in UTF-8"
    if problem:
        raise ConfigError(origins.about(table, key, f"can't be read from {file}: {problem}"))
    return text
