"""Ports for schedules and commands."""

# Ports are only types: importing one must not load the types of the others.
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from esquirell.domain.command import Answer, CommandRecord
    from esquirell.domain.schedule import Edit, LastRun, Schedule, StoredSchedule


class ScheduleStore(Protocol):
    """Stores schedules: the source that everything else is derived from."""

    def all(self) -> list[StoredSchedule]:
        """Return all schedules, the removed ones included. Raises UnavailableError."""

    def change(self, edit: Edit) -> None:
        """Apply `edit` to the schedules, exclusively.

        It gets all schedules by name, and returns those to insert or replace, with None for those
        to delete. Raises UnavailableError, and the error of `edit`.
        """

    def last_runs(self) -> dict[str, LastRun]:
        """Return the last stored run of each schedule. Raises UnavailableError."""

    def record_run(self, name: str, run: LastRun) -> None:
        """Store when a schedule ran last. Raises UnavailableError."""


class TimetableReader(Protocol):
    """Knows when schedules ran and run next."""

    def check(self, schedule: Schedule) -> None:
        """Refuse a schedule that could never run. Raises ConfigError."""

    def explain(self, cron: str, timezone: str | None, count: int) -> tuple[str, list[datetime]]:
        """Return a crontab in English words, and its next runs. Raises ConfigError."""

    def runs(self, names: Sequence[str]) -> Mapping[str, LastRun]:
        """Return the last runs. Raises UnavailableError."""

    def version(self, names: Sequence[str]) -> tuple[str, Mapping[str, str]]:
        """Return what differs after a change, and for each name after a run. As `runs`."""

    def next_run(self, schedule: Schedule, last: LastRun) -> datetime | None:
        """Return when a schedule runs next; None when it is disabled."""


class Timetable(TimetableReader, Protocol):
    """Runs schedules by entries in Redis, derived from the stored ones."""

    def lock(self) -> AbstractContextManager[object]:
        """Prevent other processes from deriving entries. Raises UnavailableError."""

    def replace(self, schedules: Mapping[str, Schedule], last_runs: Mapping[str, LastRun]) -> None:
        """Make the entries exactly those of `schedules`. Raises UnavailableError."""

    def announce(self) -> None:
        """Signal to all processes that schedules have changed. Raises UnavailableError."""

    def forget(self, name: str) -> None:
        """Forget the runs of a schedule that was removed. Raises UnavailableError."""

    def note_run(self, name: str, run: LastRun) -> None:
        """Record when a schedule ran and its result. Raises UnavailableError."""


class CommandLog(Protocol):
    """Stores the commands and their results."""

    def record(self, record: CommandRecord) -> None:
        """Add a command. Raises UnavailableError."""

    def finish(
        self,
        command_id: str,
        at: datetime,
        answer: Answer,
        *,
        answered: bool,
        instead: Mapping[str, Any] | None = None,
    ) -> None:
        """Record the result of a command, and whether it was `answered` already.

        `instead` takes the place of its payload, and no repeat of it is found any more. An unknown
        id is ignored. Raises UnavailableError.
        """

    def get(self, command_id: str) -> CommandRecord | None:
        """Return a command by its id. Raises UnavailableError."""

    def find(self, transaction_key: str | None, since: datetime) -> CommandRecord | None:
        """Return the command with this key since a moment. Raises UnavailableError."""

    def unended(self, before: datetime) -> list[CommandRecord]:
        """Return the commands from before a moment that have not ended. Raises UnavailableError."""

    def unanswered(self) -> list[CommandRecord]:
        """Return the commands whose result was not sent yet. Raises UnavailableError."""

    def prune(self, before: datetime, most: int) -> int:
        """Remove finished commands from before a moment, and all but the newest `most`.

        Raises UnavailableError.
        """

    def mark_answered(self, command_id: str) -> None:
        """Record that the reply to a command was sent. Raises UnavailableError."""


class TaskSender(Protocol):
    """Sends tasks to the workers."""

    def send(
        self,
        task: str,
        kwargs: Mapping[str, Any],
        task_id: str,
        expires_s: int,
        schedule: str | None,
    ) -> None:
        """Send a task by its long name, as a run of `schedule`. Raises UnavailableError."""
