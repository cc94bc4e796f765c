"""Exports into files: private, complete or not at all."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from esquirell.cli.call import misuse
from esquirell.cli.progress import Progress
from esquirell.cli.rows import write_csv, write_json
from esquirell.domain.periods import Calendar
from esquirell.services.history import Found, Row

MODE = 0o600
SHOWN_EACH = 1000

FORMATS = ("csv", "json", "parquet")


@contextmanager
def new_file(path: Path, *, force: bool) -> Iterator[Path]:
    """Yield the name of an empty file to write; at the end it replaces `path`.

    An error leaves nothing behind, and an existing file as it was. Raises UsageError for a file
    that exists (unless `force`), and for a folder that can't be written to.
    """
    if path.exists() and not (force and path.is_file()):
        raise misuse(f"{path} already exists: choose another name, or add --force")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE))
    except OSError as error:
        raise misuse(f"{path} can't be written: {error.strerror}") from None
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def watched(
    rows: Iterable[Row], span: tuple[datetime, datetime], progress: Progress
) -> Iterator[Row]:
    """Show the progress of an export by time, as the number of rows is unknown."""
    begin, end = (moment.timestamp() for moment in span)
    for number, row in enumerate(rows):
        if number % SHOWN_EACH == 0:
            done = min(max(row.at.timestamp() - begin, 0), end - begin)
            progress.show("export", int(done), int(end - begin))
        yield row
    progress.show("export", int(end - begin), int(end - begin))


def write(form: str, found: Found, file: Path, calendar: Calendar) -> None:
    """Write what was found into a file, in a format of `FORMATS`, and show the progress.

    Raises ConfigError where the format needs a library that is not installed.
    """
    with Progress() as progress:
        rows = watched(found.rows, found.span, progress)
        if form == "parquet":
            from esquirell.cli.parquet import write_parquet  # noqa: PLC0415 - few want it

            write_parquet(rows, found.columns, file, calendar)
            return
        with file.open("w", encoding="utf-8", newline="") as target:
            if form == "csv":
                write_csv(rows, found.columns, target, calendar)
            else:
                write_json(rows, found.columns, target)
