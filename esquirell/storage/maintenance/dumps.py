"""PostgreSQL's own programs for copies: `pg_dump` and `pg_restore`."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy.engine import URL

from esquirell.domain.errors import ConfigError, UnavailableError
from esquirell.storage import address
from esquirell.storage.database import Database


def dump(database: Database, file: Path) -> None:
    """Write a copy in PostgreSQL's custom format.

    Raises ConfigError without the program, UnavailableError when it fails.
    """
    _run(database, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={file}")


def load(database: Database, file: Path) -> None:
    """Replace the database's contents by a copy, entirely or not at all.

    Raises ConfigError without the program, UnavailableError when it fails.
    """
    options = ("--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction")
    _run(database, "pg_restore", *options, f"--dbname={database.url.database}", str(file))


def _run(database: Database, program: str, *options: str) -> None:
    found = shutil.which(program)
    if found is None:
        raise ConfigError(f"{program} is not installed: apt install postgresql-client")
    done = subprocess.run(
        [found, *options],
        env={**os.environ, **_environment(database.url)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it gave no reason"])[-1]
        raise UnavailableError(f"{program} failed for {address.shown(database.url)}: {last}")


def _environment(url: URL) -> Mapping[str, str]:
    """Return libpq's environment: a password among the arguments would be visible to every user."""
    named = {
        "PGHOST": url.host,
        "PGPORT": str(url.port) if url.port else None,
        "PGUSER": url.username,
        "PGPASSWORD": str(url.password) if url.password else None,
        "PGDATABASE": url.database,
    }
    return {key: value for key, value in named.items() if value}
