"""Exports into files: closed to other users, whole or not at all."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TextIO

from esquirell.cli import history
from esquirell.cli.call import misuse
from esquirell.cli.history import Columns
from esquirell.cli.parquet import write_parquet
from esquirell.cli.progress import Progress
from esquirell.domain.reading import Reading

MODE = 0o600
SHOWN_EACH = 1000

Writer = Callable[[Iterable[Reading], Columns, Path], None]


@contextmanager
def new_file(path: Path, *, force: bool) -> Iterator[Path]:
    """Give the name of an empty file to write; in the end it takes the place of `path`.

    An error leaves nothing behind, and what was there as it was. Raises UsageError for a file
    that is there already (unless `force`), and for a folder that can't be written into.
    """
    if path.exists() and not (force and path.is_file()):
        raise misuse(f"{path} is there already: choose another name, or add --force")
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
    found: Iterable[Reading], span: tuple[datetime, datetime], progress: Progress
) -> Iterator[Reading]:
    """Show how far an export is, by time: nobody knows how many rows there will be."""
    begin, end = (moment.timestamp() for moment in span)
    for number, one in enumerate(found):
        if number % SHOWN_EACH == 0:
            done = min(max(one.measured_at.timestamp() - begin, 0), end - begin)
            progress.show("export", int(done), int(end - begin))
        yield one
    progress.show("export", int(end - begin), int(end - begin))


def _text(write: Callable[[Iterable[Reading], Columns, TextIO], None]) -> Writer:
    def write_file(found: Iterable[Reading], columns: Columns, file: Path) -> None:
        with file.open("w", encoding="utf-8", newline="") as target:
            write(found, columns, target)

    return write_file


WRITERS = {
    "csv": _text(history.write_csv),
    "json": _text(history.write_json),
    "parquet": write_parquet,
}
