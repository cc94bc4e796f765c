"""Parquet files of readings; pyarrow writes them, if it is installed."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from esquirell.domain.errors import ConfigError
from esquirell.domain.extras import install_command
from esquirell.domain.periods import Calendar
from esquirell.services.history import Columns, Row

# Rows in memory at once, and per row group: a week of minutes.
GROUP_ROWS = 10_000


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


def write_parquet(found: Iterable[Row], columns: Columns, file: Path, calendar: Calendar) -> None:
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
