"""The log of commands in the database, from which a command's result is read."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, select, update
from sqlalchemy.engine import Row

from esquirell.domain.command import Answer, CommandRecord
from esquirell.storage.database import Database
from esquirell.storage.paging import rows_of
from esquirell.storage.tables import command_log, insert_new

log = logging.getLogger(__name__)

# The results of this many latest commands are part of `stamp`.
STAMPED = 8


class CommandLog:
    """Stores the commands and their results."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, record: CommandRecord) -> None:
        """Add a command; an existing one stays as it is. Raises UnavailableError."""
        with self._database.write() as connection:
            connection.execute(insert_new(connection.dialect.name, command_log), [_to_row(record)])

    def finish(
        self,
        command_id: str,
        at: datetime,
        answer: Answer,
        *,
        answered: bool = False,
        instead: Mapping[str, Any] | None = None,
    ) -> None:
        """Record the result of a command; an unknown id is ignored, and so is a second result.

        `answered`: the result has been sent already. `instead` takes the place of its payload, and
        no repeat of it is found any more. Raises UnavailableError.
        """
        end = {"status": answer.status, "ended_at": at, "answer": _answer_to_json(answer)}
        if instead is not None:
            end |= {"request": dict(instead), "transaction_key": None}
        change = (
            update(command_log)
            .where(command_log.c.id == command_id, command_log.c.ended_at.is_(None))
            .values(end | ({"waits": False} if answered else {}))
        )
        with self._database.write() as connection:
            connection.execute(change)

    def get(self, command_id: str) -> CommandRecord | None:
        """Return a command by its id. Raises UnavailableError."""
        found = self._select(select(command_log).where(command_log.c.id == command_id))
        return found[0] if found else None

    def find(self, transaction_key: str | None, since: datetime) -> CommandRecord | None:
        """Return the last command with this key since a moment. Raises UnavailableError."""
        if transaction_key is None:
            return None
        query = (
            select(command_log)
            .where(command_log.c.transaction_key == transaction_key, command_log.c.at >= since)
            .order_by(command_log.c.at.desc())
            .limit(1)
        )
        found = self._select(query)
        return found[0] if found else None

    def unended(self, before: datetime) -> list[CommandRecord]:
        """Return unfinished commands from before a given time. Raises UnavailableError."""
        columns = command_log.c
        return self._select(
            select(command_log).where(columns.status == "accepted", columns.at < before)
        )

    def unanswered(self) -> list[CommandRecord]:
        """Return the commands whose result has not been sent yet. Raises UnavailableError."""
        columns = command_log.c
        return self._select(select(command_log).where(columns.waits).order_by(columns.at))

    def mark_answered(self, command_id: str) -> None:
        """Record that the result of a command was sent. Raises UnavailableError."""
        change = update(command_log).where(command_log.c.id == command_id).values(waits=False)
        with self._database.write() as connection:
            connection.execute(change)

    def recent(self, limit: int) -> list[CommandRecord]:
        """Return the latest commands, newest first. Raises UnavailableError."""
        query = select(command_log).order_by(command_log.c.at.desc(), command_log.c.id)
        return self._select(query.limit(limit))

    def stamp(self) -> tuple[tuple[str, str], ...]:
        """Return a value that changes with each new command, and with the result of a recent one.

        Cheap enough for every page view. Raises UnavailableError.
        """
        columns = command_log.c
        query = select(columns.id, columns.status).order_by(columns.at.desc(), columns.id)
        found = rows_of(self._database, query.limit(STAMPED))
        return tuple((row.id, row.status) for row in found)

    def prune(self, before: datetime, most: int) -> int:
        """Remove finished commands from before a given time, and all but the newest `most`.

        Return how many were removed. Raises UnavailableError.
        """
        columns = command_log.c
        oldest = select(columns.at).order_by(columns.at.desc()).offset(most).limit(1)
        is_done = columns.ended_at.is_not(None) & ~columns.waits
        is_beyond = is_done & (columns.at <= oldest.scalar_subquery())
        with self._database.write() as connection:
            gone = connection.execute(delete(command_log).where(columns.at < before)).rowcount
            return gone + connection.execute(delete(command_log).where(is_beyond)).rowcount

    def _select(self, query: Select[Any]) -> list[CommandRecord]:
        return [_to_record(row) for row in rows_of(self._database, query)]


def _to_row(record: CommandRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "at": record.at,
        "source": record.source,
        "command": record.command,
        "request": dict(record.request),
        "transaction_key": record.transaction_key,
        "reply": dict(record.reply) if record.reply else None,
        "waits": record.reply is not None,
        "status": record.answer.status if record.answer else "accepted",
        "ended_at": record.ended_at,
        "answer": _answer_to_json(record.answer),
    }


def _to_record(row: Row[Any]) -> CommandRecord:
    return CommandRecord(
        id=row.id,
        at=row.at,
        source=row.source,
        command=row.command,
        request=row.request if isinstance(row.request, dict) else {},
        transaction_key=row.transaction_key,
        reply=row.reply if isinstance(row.reply, dict) else None,
        ended_at=row.ended_at,
        answer=_to_answer(row),
    )


def _to_answer(row: Row[Any]) -> Answer | None:
    """Return the answer to a command; only its status if the rest can't be read."""
    try:
        if row.answer:
            return Answer(**row.answer)
    except TypeError:
        log.debug("the answer to command %s can't be read", row.id)
    return Answer(row.status) if row.ended_at else None


def _answer_to_json(answer: Answer | None) -> dict[str, Any] | None:
    if answer is None:
        return None
    shown = {"status": answer.status, "data": dict(answer.data)}
    return shown | {"error": answer.error, "code": answer.code}
