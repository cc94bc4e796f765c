"""Parquet files of readings; pyarrow writes them, where it is installed."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from esquirell.cli.history import Columns
from esquirell.domain.errors import ConfigError
from esquirell.domain.reading import Reading

# Rows in memory at once, and in a row group: a week of minutes.
GROUP_ROWS = 10_000


def load_arrow() -> Any:  # noqa: ANN401 - pyarrow has no types
    """Load pyarrow. Raises ConfigError where it is not installed."""
    try:
        import pyarrow as pa  # noqa: PLC0415 - megabytes that few need
        import pyarrow.parquet  # noqa: PLC0415 - the same
    except ImportError:
        raise ConfigError(
            "Parquet needs a library that is not installed: pip install 'esquirell[parquet]'"
        ) from None
    return pa


def write_parquet(readings: Iterable[Reading], columns: Columns, file: Path) -> None:
    """Write readings into a file, however many they are: times in UTC, values as doubles.

    Raises ConfigError where pyarrow is not installed.
    """
    pa = load_arrow()
    schema = pa.schema(list(_fields(pa, columns)))
    with pa.parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        rows = iter(readings)
        while group := list(islice(rows, GROUP_ROWS)):
            writer.write_table(pa.table(_arrays(group, columns), schema=schema))


def _fields(pa: Any, columns: Columns) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - as above
    yield columns.time, pa.timestamp("ms", tz="UTC")
    if columns.several:
        yield "meter", pa.string()
    yield from ((key, pa.float64()) for key in columns.keys)


def _arrays(group: list[Reading], columns: Columns) -> dict[str, list[object]]:
    arrays: dict[str, list[object]] = {columns.time: [one.measured_at for one in group]}
    if columns.several:
        arrays["meter"] = [one.meter for one in group]
    return arrays | {key: [one.values.get(key) for one in group] for key in columns.keys}
