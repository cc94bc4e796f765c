"""Logging: for people on a terminal, with priorities for the journal, or as JSON."""

import json
import logging
import os
import sys
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from celery.exceptions import SecurityWarning
from celery.signals import setup_logging

from esquirell.domain.reading import iso

Format = Literal["auto", "human", "json"]

# sd-daemon(3): the journal reads a priority from <N> at the start of a line.
PRIORITIES = {"CRITICAL": 2, "ERROR": 3, "WARNING": 4, "INFO": 6, "DEBUG": 7}

# At INFO they log what nobody needs every minute.
CHATTY = ("celery", "kombu", "redbeat", "alembic")
# At DEBUG it writes keys.
SECRETIVE = "tinytuya"


class JournalFormatter(logging.Formatter):
    """One line with its priority; the journal keeps time and process itself."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record with `<N>` at the start of each of its lines."""
        priority = f"<{PRIORITIES.get(record.levelname, 6)}>"
        return "\n".join(priority + line for line in super().format(record).splitlines())


class TerminalFormatter(logging.Formatter):
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


def set_up(level: str, shape: Format, spelled: Callable[[str], str] = str) -> None:
    """Send all records to stderr in one format, and keep Celery from changing that.

    Lines for people on a terminal go through `spelled`.
    """
    handler = logging.StreamHandler(sys.stderr)
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
    logging.getLogger(SECRETIVE).setLevel(logging.WARNING)


def _formatter(shape: Format, spelled: Callable[[str], str]) -> logging.Formatter:
    if shape == "json":
        return JsonFormatter()
    if shape == "auto" and os.environ.get("JOURNAL_STREAM"):
        return JournalFormatter("%(name)s: %(message)s")
    return TerminalFormatter(spelled)


def _leave_alone(**_: object) -> None:
    """Take Celery's place in setting up logging: it does not if this signal has a receiver."""
