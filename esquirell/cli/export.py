"""Exports into files: private, complete or not at all; Parquet by pyarrow, if it is installed."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from esquirell.cli.call import misuse
from esquirell.cli.output import Progress
from esquirell.cli.rows import write_csv, write_json
from esquirell.domain.errors import ConfigError
from esquirell.domain.extras import install_command
from esquirell.domain.periods import Calendar
from esquirell.services.history import Columns, Found, Row

MODE = 0o600
SHOWN_EACH = 1000

FORMATS = ("csv", "json", "parquet")
# Rows in memory at once, and per row group: a week of minutes.
GROUP_ROWS = 10_000


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
            _write_parquet(rows, found.columns, file, calendar)
            return
        with file.open("w", encoding="utf-8", newline="") as target:
            if form == "csv":
                write_csv(rows, found.columns, target, calendar)
            else:
                write_json(rows, found.columns, target)


def load_arrow() -> Any:  # noqa: ANN401 - pyarrow has no types
    """Load pyarrow. Raises ConfigError where it is not installed."""
    try:
        import pyarrow as pa  # noqa: PLC0415 - megabytes that few need
        import pyarrow.parquet  # noqa: PLC0415 - the same
    except ImportError:
        raise ConfigError(
            f"Parquet needs a library that is not installed: {install_command('parquet')}"
        ) from None
    return pa


def _write_parquet(found: Iterable[Row], columns: Columns, file: Path, calendar: Calendar) -> None:
    """Write any number of rows into a file: values as doubles, times with a zone.

    Readings are in UTC, periods in local time, so that each starts on its date. Raises ConfigError
    where pyarrow is not installed.
    """
    pa = load_arrow()
    zone = "UTC" if columns.view == "raw" else calendar.zone
    schema = pa.schema(list(_fields(pa, columns, zone)))
    with pa.parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        rows = iter(found)
        while group := list(islice(rows, GROUP_ROWS)):
            writer.write_table(pa.table(_arrays(group, columns), schema=schema))


def _fields(pa: Any, columns: Columns, zone: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - as above
    yield columns.time, pa.timestamp("ms", tz=zone)
    if columns.several:
        yield "meter", pa.string()
    yield from ((key, pa.float64()) for key in columns.keys)
    if columns.has_periods:
        yield "estimated", pa.bool_()


def _arrays(group: list[Row], columns: Columns) -> dict[str, list[object]]:
    arrays: dict[str, list[object]] = {columns.time: [row.at for row in group]}
    if columns.several:
        arrays["meter"] = [row.meter for row in group]
    if columns.has_periods:
        arrays["estimated"] = [row.estimated for row in group]
    return arrays | {key: [row.values.get(key) for row in group] for key in columns.keys}
