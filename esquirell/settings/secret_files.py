"""Secrets from files of their own.

What wins, from the strongest: an environment variable (`KEY` or `KEY_file`), `KEY_file` in
the configuration, a file `section__key` in `$CREDENTIALS_DIRECTORY` (systemd) or
`/run/secrets` (containers), the secret written into the configuration itself.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import SecretStr

from esquirell.domain.errors import ConfigError
from esquirell.settings.keys import secret_keys
from esquirell.settings.layers import Table, tables
from esquirell.settings.places import Places, Route

CONTAINER_SECRETS = Path("/run/secrets")

_PLAIN = re.compile(r"[a-z0-9_-]+")


def folders(environ: Mapping[str, str]) -> list[Path]:
    """Name the folders where a service manager or a container puts secrets."""
    given = environ.get("CREDENTIALS_DIRECTORY")
    return [Path(given), CONTAINER_SECRETS] if given else [CONTAINER_SECRETS]


def holds_secrets(data: Table, places: Places) -> bool:
    """Tell whether any secret is written into these tables."""
    return any(
        table.get(secret)
        for _, model, table in tables(data, places)
        for secret in secret_keys(model)
    )


def resolve(data: Table, where: Sequence[Path], places: Places) -> None:
    """Put the secrets themselves in the place of the files that hold them.

    `where` are folders of secrets. Raises ConfigError for a file that is missing, empty,
    unreadable or no text.
    """
    for route, model, table in tables(data, places):
        for key in secret_keys(model):
            found = _find(table, (*route, key), where, places)
            if isinstance(found, str):
                table[key] = SecretStr(found)


def _find(table: Table, route: Route, where: Sequence[Path], places: Places) -> object:
    *above, key = route
    inline, file = table.get(key), table.pop(f"{key}_file", None)
    if file is not None:
        return _read(file, tuple(above), f"{key}_file", places)
    if inline is not None and places.variable(route):
        return inline
    for path in _mounted(route, where):
        return _read(path, tuple(above), key, places)
    return inline


def _mounted(route: Route, where: Sequence[Path]) -> Iterator[Path]:
    if all(_PLAIN.fullmatch(part) for part in route):
        candidates = (folder / "__".join(route) for folder in where)
        yield from (path for path in candidates if path.exists())


def _read(file: object, table: Route, key: str, places: Places) -> str:
    if not isinstance(file, str | Path):
        raise ConfigError(places.about(table, key, "must be text in quotes"))
    try:
        # Keys and passwords may end in a space: the end of the line alone is cut off.
        text = Path(file).read_bytes().decode().rstrip("\r\n")
        problem = "" if text else "it is empty"
    except OSError as error:
        problem = (error.strerror or "unknown error").lower()
    except ValueError:
        problem = "it is no text in UTF-8"
    if problem:
        raise ConfigError(places.about(table, key, f"can't be read from {file}: {problem}"))
    return text
