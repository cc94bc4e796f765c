"""Where the database is: its URL checked, and shown without its password."""

from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from esquirell.domain.errors import ConfigError

_DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
_SQLITE = "sqlite:///"
_FORMS = "write sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME"


def parse(text: str) -> URL:
    """Read a database URL; PostgreSQL is always spoken to through psycopg. Raises ConfigError.

    What follows `sqlite:///` is a path as it is, whatever `%` or `?` it holds.
    """
    try:
        file = text.removeprefix(_SQLITE)
        url = URL.create("sqlite", database=file) if file != text else make_url(text)
    except (ArgumentError, ValueError):
        # The cause may quote parts of a password.
        raise ConfigError(f"database.url is no URL: {_FORMS}") from None
    if url.drivername not in _DRIVERS:
        raise ConfigError(f"database.url begins with {url.drivername}: {_FORMS}")
    url = url.set(drivername=_DRIVERS[url.drivername])
    if is_sqlite(url):
        _check_file(url)
    return url


def written(url: URL) -> str:
    """Write a URL, with its password, such that `parse` reads the same."""
    if is_sqlite(url):
        return f"{_SQLITE}{url.database}"
    return url.render_as_string(hide_password=False)


def is_sqlite(url: URL) -> bool:
    """Tell whether the database is a file of SQLite's."""
    return url.get_backend_name() == "sqlite"


def file_of(url: URL) -> Path | None:
    """Give the file of an SQLite database; PostgreSQL has none."""
    return Path(url.database or "") if is_sqlite(url) else None


def shown(url: URL) -> str:
    """Name the database for people: the file, or the URL without secrets."""
    if is_sqlite(url):
        return str(url.database)
    # Parameters may hold secrets too (?password=…).
    return url.set(query={}).render_as_string(hide_password=True)


def _check_file(url: URL) -> None:
    if url.database in {None, "", ":memory:"}:
        raise ConfigError("database.url names no file: write sqlite:///FILE")
    if url.query or url.host:
        raise ConfigError("database.url for SQLite is a path and nothing else: sqlite:///FILE")
