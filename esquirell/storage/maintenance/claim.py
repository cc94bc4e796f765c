"""One service per database where no file can be locked: an advisory lock in PostgreSQL."""

from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from esquirell.storage.database import Database
from esquirell.storage.errors import translated
from esquirell.storage.postgres import POOLED

# Any number other than that of the upgrades.
_ADVISORY_LOCK = 7_283_652


class Claim:
    """Held by one session at a time; PostgreSQL releases it when that session ends.

    A pooler's sessions outlive ours, but not in the middle of a transaction, so there one is left
    open. An SQLite database is always granted: there a lock file does this.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Connection | None = None

    def hold(self) -> bool:
        """Take the claim, or check that it is still ours; False if another session has it.

        Raises UnavailableError.
        """
        if self._database.file is not None:
            return True
        with translated(self._database.url):
            return self._lives() or self._take()

    def release(self) -> None:
        """Release the claim; does nothing if it is not held."""
        if self._connection is not None:
            # Returned to the pool, the session would keep the lock.
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def _lives(self) -> bool:
        try:
            return self._connection is not None and bool(
                self._connection.execute(text("SELECT true")).scalar()
            )
        except SQLAlchemyError:
            self.release()
            return False

    def _take(self) -> bool:
        connection = self._database.engine.connect()
        question = "SELECT pg_try_advisory_xact_lock(:key)"
        if not connection.info[POOLED]:
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            question = "SELECT pg_try_advisory_lock(:key)"
        self._connection = connection
        taken = bool(connection.execute(text(question), {"key": _ADVISORY_LOCK}).scalar())
        if not taken:
            self.release()
        return taken
