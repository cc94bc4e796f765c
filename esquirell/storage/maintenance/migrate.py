"""Upgrades of the tables by Alembic; run as a program, this module upgrades."""

import sqlite3
import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import event, text
from sqlalchemy.engine import Connection

from esquirell.domain.errors import ConfigError, UnavailableError
from esquirell.storage import sqlite
from esquirell.storage.database import Database
from esquirell.storage.errors import DamagedError
from esquirell.storage.maintenance.care import copy_database
from esquirell.storage.maintenance.revision import (
    EXIT_CONFIG,
    EXIT_UNAVAILABLE,
    HEAD,
    UPGRADE_LIMIT_S,
    copy_before,
    read_revision,
)
from esquirell.storage.statistics import views

# An arbitrary number, the same in all versions of this program.
_ADVISORY_LOCK = 7_283_651


def upgrade(url: str) -> None:
    """Upgrade the tables to this version: completely or not at all, one process at a time.

    An SQLite database with data is copied first, to `<file>.before-<its revision>`. Raises
    ConfigError or UnavailableError; then the database is unchanged.
    """
    database = Database(url, patience_s=UPGRADE_LIMIT_S)
    try:
        database.create()
        if database.file is not None:
            event.listen(database.engine, "connect", _ignore_references)
        with database.write() as connection:
            _migrate(connection, database)
        if database.file is not None:
            with database.connect() as connection:
                sqlite.use_log(connection)
    except DamagedError as error:
        raise ConfigError(str(error)) from error
    finally:
        database.close()


def alembic_config(connection: Connection) -> Config:
    """Return Alembic's configuration; its commands work in the transaction of `connection`."""
    config = Config()
    scripts = Path(__file__).parents[1] / "migrations"
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _migrate(connection: Connection, database: Database) -> None:
    _take_turn(connection)
    found = read_revision(connection, database.describe())
    if found == HEAD:
        return
    if found is not None and database.file is not None:
        _copy(database, copy_before(database.file, found))
    views.drop(connection)
    try:
        command.upgrade(alembic_config(connection), "head")
    except CommandError as error:
        sentence = f"The database {database.describe()} can't be upgraded: {error}."
        raise ConfigError(sentence) from error
    views.make(connection)
    _check_references(connection, database)


def _take_turn(connection: Connection) -> None:
    """Wait until no other process upgrades; SQLite's writers wait for each other anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})


def _copy(database: Database, target: Path) -> None:
    with database.connect() as connection:
        copy_database(sqlite.driver_connection(connection), target)


def _ignore_references(connection: sqlite3.Connection, _record: object) -> None:
    # SQLite changes a table by rebuilding it (https://www.sqlite.org/lang_altertable.html, 7):
    # dropping the old one must not drop what refers to it.
    connection.execute("PRAGMA foreign_keys=OFF")


def _check_references(connection: Connection, database: Database) -> None:
    if database.file is None:
        return
    broken = connection.execute(text("PRAGMA foreign_key_check")).first()
    if broken is not None:
        raise UnavailableError(
            f"The upgrade of the database {database.describe()} was undone, as it would have "
            f"left rows of {broken[0]} without their {broken[2]}: run esquirell db check."
        )


def main() -> int:
    """Upgrade the database whose URL comes on standard input; print one sentence on failure."""
    try:
        upgrade(sys.stdin.read())
    except (ConfigError, UnavailableError) as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_CONFIG if isinstance(error, ConfigError) else EXIT_UNAVAILABLE
    return 0


if __name__ == "__main__":
    sys.exit(main())
