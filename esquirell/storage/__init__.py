"""Storage: everything SQLAlchemy, on SQLite and PostgreSQL."""

from esquirell.lazy_import import lazy_import

# Its driver for asyncio, with what that loads, would be 0.1 MiB.
with lazy_import("sqlalchemy.dialects.sqlite.aiosqlite"):
    import sqlalchemy.dialects.sqlite  # noqa: F401 - loaded here, without that
