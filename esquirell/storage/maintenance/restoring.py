"""Replacing an SQLite database by a backup: as asked for, or because it is damaged."""

import fcntl
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from urllib.parse import quote

from sqlalchemy.engine import URL

from esquirell import whole_file
from esquirell.domain.errors import ConfigError, EsquirellError, UnavailableError
from esquirell.storage import sqlite
from esquirell.storage.database import Database
from esquirell.storage.errors import DamagedError, translated
from esquirell.storage.maintenance.care import Backups, copy_database, damages, sqlite_file
from esquirell.storage.maintenance.revision import ensure_current, read_revision

# A file and SQLite's files beside it: left behind, they would be applied to the new file.
_PARTS = ("", "-wal", "-shm", "-journal")

_CLAIM_S = 1

log = logging.getLogger(__name__)

CHECK_LIMIT_S = 5.0


def restore(source: Path, database: Database) -> Path | None:
    """Replace an SQLite database by a backup; return where the old file is now.

    A backup of an older version is upgraded at the next start. Raises ConfigError for a file that
    is missing, damaged, another program's or a newer version's, UnavailableError while the database
    is in use; then nothing is changed.
    """
    file = sqlite_file(database)
    staged = file.with_name(f"{file.name}.restoring")
    try:
        stage(source, staged)
        database.close()
        _claim(file)
        aside = set_aside(file, "replaced")
        whole_file.put(staged, file)
    except OSError as error:
        raise ConfigError(f"{file} can't be replaced: {error.strerror}.") from error
    finally:
        staged.unlink(missing_ok=True)
    return aside


def stage(source: Path, staged: Path) -> None:
    """Copy the backup beside the database and check the copy.

    Raises ConfigError when it is not usable.
    """
    if not source.is_file():
        raise ConfigError(f"{source} is not a file: name a backup.")
    address = f"file:{quote(str(source))}?mode=ro"
    try:
        with (
            translated(URL.create("sqlite", database=str(source))),
            closing(sqlite3.connect(address, uri=True)) as original,
        ):
            copy_database(original, staged)
        _examine(staged, str(source))
    except DamagedError as error:
        raise ConfigError(f"{source} is damaged or not an SQLite file: name a backup.") from error


def _examine(staged: Path, source: str) -> None:
    copy = Database(f"sqlite:///{staged}")
    try:
        with copy.read() as connection:
            if read_revision(connection, source) is None:
                raise ConfigError(f"{source} is empty: name a backup.")
            for _damage in damages(connection, source, "integrity_check"):
                raise ConfigError(f"{source} is damaged: name another backup.")
    finally:
        copy.close()


def _claim(file: Path) -> None:
    """Make sure that no program has the database open, and merge its log into it."""
    if not file.exists():
        return
    try:
        with closing(sqlite3.connect(file, timeout=_CLAIM_S)) as connection:
            # Leaving WAL mode fails while there is another connection.
            connection.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.OperationalError as error:
        raise UnavailableError(
            f"The database {file} is in use ({error}): stop esquirell first."
        ) from error
    except sqlite3.DatabaseError:
        # Damaged, which is why it is replaced: its log is kept aside with it.
        return


def set_aside(file: Path, why: str) -> Path | None:
    """Rename a database and the files beside it; return the new name, None if there is none."""
    parts = [part for part in _PARTS if file.with_name(file.name + part).exists()]
    if not parts:
        return None
    names = (file.with_name(f"{file.name}.{why}-{number}") for number in count(1))
    aside = next(name for name in names if not name.exists())
    for part in parts:
        file.with_name(file.name + part).rename(aside.with_name(aside.name + part))
    return aside


class DatabaseRepair:
    """Repairs the database of a service; only one thread or process does so at a time.

    `afterwards` is called when another database has replaced the damaged one.
    """

    def __init__(
        self, database: Database, backups: Backups, afterwards: Callable[[], None]
    ) -> None:
        self._database = database
        self._backups = backups
        self._afterwards = afterwards
        self._busy = threading.Lock()

    def run(self, *, had_rows: bool = False) -> None:
        """Check whether the file is damaged; if so, replace it.

        An empty file is damaged only if it `had_rows`: a restore may be under way. A failed repair
        is logged, and tried again at the next error.
        """
        file = self._database.file
        if file is None or not self._busy.acquire(blocking=False):
            return
        try:
            with _alone(file):
                self._repair(file, had_rows=had_rows)
        except (EsquirellError, OSError, sqlite3.Error) as error:
            log.error("the database can't be repaired: %s", error)  # noqa: TRY400 - one sentence
        finally:
            self._busy.release()

    def run_at_start(self, *, had_rows: bool = False) -> None:
        """Replace a file that is not a usable database, before anything else uses it.

        So is an empty one that `had_rows`, according to other files: a power cut may empty a file.
        """
        file = self._database.file
        # Other problems, such as a full disk, are reported by its next use.
        with suppress(sqlite3.Error):
            if file is None or not file.exists():
                return
            is_emptied = had_rows and not file.stat().st_size
            if is_emptied or _ask(file, "SELECT count(*) FROM sqlite_master") is None:
                self.run(had_rows=had_rows)

    def _repair(self, file: Path, *, had_rows: bool) -> None:
        if not file.exists():
            return
        is_emptied = had_rows and not file.stat().st_size
        if not is_emptied and not is_damaged(file):
            return
        self._database.close()
        aside = set_aside(file, "damaged")
        log.error("the database %s was damaged: it was moved to %s", file, aside)
        self._put_backup(file)
        ensure_current(self._database)
        self._afterwards()

    def _put_backup(self, file: Path) -> None:
        for backup in self._backups.newest_first():
            staged = file.with_name(f"{file.name}.restoring")
            try:
                stage(backup, staged)
                whole_file.put(staged, file)
            except EsquirellError as error:
                log.warning("skipping a backup: %s", error)
                staged.unlink(missing_ok=True)
            else:
                log.error("the service continues with the backup %s", backup)
                return
        log.error("there is no sound backup: the service continues with an empty database")


def is_damaged(file: Path) -> bool:
    """Return whether an SQLite file is damaged, by a full check. Raises sqlite3.Error."""
    return _ask(file, "PRAGMA integrity_check(1)") != "ok"


def _ask(file: Path, query: str) -> object:
    """Run one query on a file; None when it is too damaged to answer."""
    address = f"file:{quote(str(file))}?mode=rw"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=CHECK_LIMIT_S)) as connection:
            return connection.execute(query).fetchone()[0]
    except sqlite3.DatabaseError as error:
        if sqlite.is_damage(error):
            return None
        raise


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Hold the lock of the repair, released when the process ends."""
    lock = os.open(f"{file}.repairing", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
