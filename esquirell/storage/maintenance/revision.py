"""The revision of the tables: whether this program and the database match."""

import logging
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection

from esquirell.domain.errors import ConfigError, EsquirellError, UnavailableError
from esquirell.storage import sqlite
from esquirell.storage.address import written
from esquirell.storage.database import Database
from esquirell.storage.errors import DamagedError
from esquirell.storage.statistics import views
from esquirell.storage.tables import metadata

log = logging.getLogger(__name__)

# The newest script in migrations/versions, known without loading Alembic.
HEAD = "0007"

UPGRADE_LIMIT_S = 600
COPY_KEPT_S = 30 * 86_400

# As Alembic creates it.
_VERSIONS = """
CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
)
"""

# The exit code of a failed upgrade process; 1 means a Python traceback.
EXIT_CONFIG = 2
EXIT_UNAVAILABLE = 3


def read_revision(connection: Connection, place: str) -> str | None:
    """Return the revision of the tables, at most HEAD; None for an empty database.

    Raises ConfigError when the tables belong to another program or a newer version.
    """
    tables = inspect(connection).get_table_names()
    if "alembic_version" not in tables:
        if tables:
            raise ConfigError(_foreign(place))
        return None
    found = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if found is not None and not (len(found) == len(HEAD) and found.isdecimal()):
        raise ConfigError(_foreign(place))
    if found is not None and found > HEAD:
        raise ConfigError(_newer(place, found))
    return None if found is None else str(found)


def ensure_current(database: Database, *, limit_s: float = UPGRADE_LIMIT_S) -> None:
    """Upgrade the tables if they are older than this version; cheap if they are not.

    A missing SQLite file is created; an empty one gets the current tables. Any other upgrade runs
    in a child process, as Alembic costs 7 MiB that a service would keep, and for at most `limit_s`
    seconds. Raises ConfigError when the database can't be used, UnavailableError when it is
    unreachable or the upgrade failed; then it is unchanged.
    """
    database.create()
    try:
        if _is_current(database) or _made(database):
            _forget_copies(database)
            return
    except DamagedError as error:
        raise ConfigError(str(error)) from error
    log.info("upgrading the database %s to %s", database.describe(), HEAD)
    _upgrade_in_child(database, limit_s)
    copies = _copies(database)
    kept = f"; as it was before: {copies[0]}" if copies else ""
    log.info("the database %s is up to date%s", database.describe(), kept)


def missing_tables(connection: Connection) -> list[str]:
    """Return the tables that a database at HEAD lacks, by name."""
    return sorted(metadata.tables.keys() - set(inspect(connection).get_table_names()))


def put_back_tables(database: Database) -> None:
    """Create tables that were dropped, empty. Raises UnavailableError."""
    with database.write() as connection:
        if missing := missing_tables(connection):
            views.drop(connection)
            metadata.create_all(connection)
            views.make(connection)
            log.warning(
                "these tables were missing in the database %s, and are empty now: %s",
                database.describe(),
                ", ".join(missing),
            )


def _newer(place: str, revision: str) -> str:
    """Return the advice for a database with tables newer than this version."""
    copy = copy_before(Path(place), HEAD)
    back = (
        f", or go back to the copy from before the upgrade: esquirell db restore {copy}"
        if copy.exists()
        else ""
    )
    return (
        f"The database {place} was created by a newer version of esquirell (its tables are "
        f"{revision}, this version knows {HEAD}): upgrade esquirell{back}."
    )


def copy_before(file: Path, revision: str) -> Path:
    """Return the name of the copy that an upgrade makes of a file at this revision."""
    return file.with_name(f"{file.name}.before-{revision}")


def _copies(database: Database) -> list[Path]:
    """Return the copies that upgrades have made of an SQLite file, newest first."""
    if database.file is None:
        return []
    return sorted(database.file.parent.glob(copy_before(database.file, "*").name), reverse=True)


def _forget_copies(database: Database) -> None:
    """Remove the copies made by upgrades, all but the newest, and that after a month."""
    outdated = time.time() - COPY_KEPT_S
    for number, copy in enumerate(_copies(database)):
        with suppress(OSError):
            if number or copy.stat().st_mtime < outdated:
                copy.unlink()
                log.info("the copy of an earlier upgrade was removed: %s", copy)


def _is_current(database: Database) -> bool:
    with database.connect() as connection:
        if read_revision(connection, database.describe()) != HEAD:
            return False
        connection.rollback()
        if database.file is not None:
            # A backup that was copied into place by hand is not in WAL mode.
            sqlite.use_log(connection)
        return True


def _made(database: Database) -> bool:
    """Create the tables in an empty SQLite file, which is half a second faster than the child."""
    if database.file is None:
        return False
    with database.write() as connection:
        if read_revision(connection, database.describe()) is None:
            metadata.create_all(connection)
            views.make(connection)
            connection.execute(text(_VERSIONS))
            connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})
    return _is_current(database)


def _upgrade_in_child(database: Database, limit_s: float) -> None:
    # Over standard input: a command line would show the password to every user of the machine.
    url = written(database.url)
    command = [sys.executable, "-P", "-m", "esquirell.storage.maintenance.migrate"]
    try:
        child = subprocess.run(
            command, input=url, capture_output=True, text=True, timeout=limit_s, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(
            f"The upgrade of the database {database.describe()} took longer than {limit_s:.0f} s "
            "and was undone: run esquirell db upgrade."
        ) from error
    if child.returncode != 0:
        raise _error_of(child, database.describe())


def _error_of(child: subprocess.CompletedProcess[str], place: str) -> EsquirellError:
    log.debug("the upgrade ended with %d:\n%s", child.returncode, child.stderr)
    sentence = next(iter(child.stderr.strip().splitlines()[-1:]), f"exit code {child.returncode}")
    if child.returncode == EXIT_CONFIG:
        return ConfigError(sentence)
    if child.returncode == EXIT_UNAVAILABLE:
        return UnavailableError(sentence)
    return UnavailableError(
        f"The upgrade of the database {place} failed and was undone: {sentence}"
    )


def _foreign(place: str) -> str:
    return f"The database {place} has tables of another program: give esquirell its own database."
