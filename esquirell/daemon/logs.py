"""Logging: for people on a terminal, with priorities for the journal, or as JSON."""

import json
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal, TextIO

from celery.exceptions import SecurityWarning
from celery.signals import setup_logging

from esquirell.domain.reading import iso
from esquirell.domain.visible import visible

Format = Literal["auto", "human", "json"]

# sd-daemon(3): the journal reads a priority from <N> at the start of a line.
PRIORITIES = {"CRITICAL": 2, "ERROR": 3, "WARNING": 4, "INFO": 6, "DEBUG": 7}

# At INFO they log too much every minute.
CHATTY = ("celery", "kombu", "redbeat", "alembic")
# Celery's `get_task_logger` gives users' tasks loggers below this one.
TASKS = "celery.task"
# So many equal lines are logged within a minute, those of so many kinds are counted at a time.
EQUAL_LINES = 5
EQUAL_WITHIN_S = 60.0
LINES_COUNTED = 500
# At DEBUG it writes keys.
SECRETIVE = "tinytuya"
# The first warns, with the address of an object in memory, of what follows from an error that it
# raises; the second that a lock is gone, as of an emptied Redis, which says nothing of what or why.
ECHOING = ("psycopg", "redis.lock")


class PlainFormatter(logging.Formatter):
    """Shows what others sent, as it stands in messages and errors, as text of one record.

    It can neither act in the terminal of a reader nor begin a line that looks like another record.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return message and traceback, all lines but the first indented."""
        return visible("\n  ".join(super().format(record).splitlines()))


class JournalFormatter(PlainFormatter):
    """One line with its priority; the journal keeps time and process itself."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record with `<N>` at the start of each of its lines."""
        priority = f"<{PRIORITIES.get(record.levelname, 6)}>"
        return "\n".join(priority + line for line in super().format(record).splitlines())


class TerminalFormatter(PlainFormatter):
    """One line with the time, for people; `spelled` rewrites commands as they can be typed."""

    def __init__(self, spelled: Callable[[str], str]) -> None:
        """Store the function that rewrites each line."""
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")
        self._spelled = spelled

    def format(self, record: logging.LogRecord) -> str:
        """Return time, level and message; the traceback if there is one."""
        return self._spelled(super().format(record))


class JsonFormatter(logging.Formatter):
    """One JSON object per record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return time, level, source and message; the traceback if there is one."""
        entry = {
            "at": iso(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


class Repeats:
    """Logs the first few of equal lines in a minute, and only counts the rest.

    Otherwise a fault that recurs many times a second would fill the disk.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Store the clock, in seconds."""
        self._clock = clock
        # By what a line says: since when it is counted, how often it came, and its last record.
        self._seen: dict[tuple[str, int, str], tuple[float, int, logging.LogRecord]] = {}

    @property
    def counted(self) -> int:
        """How many different lines are being counted."""
        return len(self._seen)

    def allows(self, record: logging.LogRecord) -> bool:
        """Count a line; return whether it is to be logged."""
        if record.levelno < logging.INFO:
            return True
        key = record.name, record.levelno, kind_of(record)
        since, count, _ = self._seen.get(key, (self._clock(), 0, record))
        self._seen[key] = since, count + 1, record
        return count < EQUAL_LINES

    def over(self, *, all_of_them: bool = False) -> list[logging.LogRecord]:
        """Return a line for each whose minute is over, if it was not logged each time."""
        now = self._clock()
        due = {
            key: seen
            for key, seen in self._seen.items()
            if all_of_them or len(self._seen) > LINES_COUNTED or now - seen[0] >= EQUAL_WITHIN_S
        }
        for key in due:
            del self._seen[key]
        return [
            _counted(record, count - EQUAL_LINES)
            for _, count, record in due.values()
            if count > EQUAL_LINES
        ]


def kind_of(record: logging.LogRecord) -> str:
    """Return what makes lines equal: all they say, or `counted_as` of `extra`, if that is given."""
    return str(getattr(record, "counted_as", record.getMessage()))


class CountingHandler(logging.StreamHandler[TextIO]):
    """Writes lines to a stream, and how many equal ones were left out."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._repeats = Repeats()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, unless it is one of many equal ones; and counts that are due."""
        for counted in self._repeats.over():
            super().emit(counted)
        if self._repeats.allows(record):
            super().emit(record)

    def close(self) -> None:
        """Write the counts that are left."""
        for counted in self._repeats.over(all_of_them=True):
            super().emit(counted)
        super().close()


def _counted(record: logging.LogRecord, more: int) -> logging.LogRecord:
    """Return a line that says how often another one was not logged."""
    said = f"{record.getMessage()} ({more} more times within a minute)"
    again = logging.makeLogRecord(record.__dict__ | {"msg": said, "args": None})
    again.exc_info = again.exc_text = again.stack_info = None
    return again


def set_up(level: str, shape: Format, spelled: Callable[[str], str] = str) -> None:
    """Send all records to stderr in one format, and keep Celery from changing that.

    Lines for people on a terminal go through `spelled`.
    """
    handler = CountingHandler(sys.stderr)
    handler.setFormatter(_formatter(shape, spelled))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    set_level(level)
    logging.captureWarnings(capture=True)
    # Celery's own warning is ten lines; the service logs one.
    warnings.simplefilter("ignore", SecurityWarning)
    setup_logging.connect(_leave_alone, weak=False)


def set_level(level: str) -> None:
    """Change the level of all loggers; the chatty ones stay one step quieter."""
    wanted = logging.getLevelName(level.upper())
    logging.getLogger().setLevel(wanted)
    for name in CHATTY:
        quieter = logging.WARNING if wanted == logging.INFO else wanted
        logging.getLogger(name).setLevel(quieter)
    logging.getLogger(TASKS).setLevel(wanted)
    logging.getLogger(SECRETIVE).setLevel(logging.WARNING)
    for name in ECHOING:
        logging.getLogger(name).setLevel(wanted if wanted == logging.DEBUG else logging.ERROR)


def _formatter(shape: Format, spelled: Callable[[str], str]) -> logging.Formatter:
    if shape == "json":
        return JsonFormatter()
    if shape == "auto" and os.environ.get("JOURNAL_STREAM"):
        return JournalFormatter("%(name)s: %(message)s")
    return TerminalFormatter(spelled)


def _leave_alone(**_: object) -> None:
    """Take Celery's place in setting up logging: it does not if this signal has a receiver."""
