"""The address of a database: parsed, written, and shown without its password."""

from pathlib import Path

from sqlalchemy.engine import URL, make_url

_SQLITE = "sqlite:///"


def parse(text: str) -> URL:
    """Parse a database URL. What follows `sqlite:///` is a path, even with `%` or `?` in it."""
    file = text.removeprefix(_SQLITE)
    return URL.create("sqlite", database=file) if file != text else make_url(text)


def written(url: URL) -> str:
    """Return a URL, with its password, that `parse` reads back."""
    if is_sqlite(url):
        return f"{_SQLITE}{url.database}"
    return url.render_as_string(hide_password=False)


def is_sqlite(url: URL) -> bool:
    """Return whether the database is an SQLite file."""
    return url.get_backend_name() == "sqlite"


def file_of(url: URL) -> Path | None:
    """Return the file of an SQLite database; PostgreSQL has none."""
    return Path(url.database or "") if is_sqlite(url) else None


def shown(url: URL) -> str:
    """Return the database for people: the file, or the URL without secrets."""
    if is_sqlite(url):
        return str(url.database)
    # Parameters may contain secrets too (?password=…).
    return url.set(query={}).render_as_string(hide_password=True)
