"""The values of a reading, for people and for programs."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from esquirell.cli.moments import local
from esquirell.cli.output import Row, print_table, say
from esquirell.domain.quantity import QUANTITIES, is_quantity_key, split_key
from esquirell.domain.statistic import quantity_of

_NOTHING = "-"
_REST = "diagnostics"

Shape = Mapping[str, Any]


def lines_of(shape: Shape) -> list[Row]:
    """Return the rows of a published reading: key, value and unit; null has no value."""
    return [(key, plain(value), unit_of(key)) for key, value in shape.items() if key != _REST]


def diagnostics_of(shape: Shape) -> list[Row]:
    """Return the rows of a reading's diagnostics: code and value."""
    return [(code, plain(value)) for code, value in shape.get(_REST, {}).items()]


def print_reading(title: str, shape: Shape, zone: str) -> None:
    """Print a reading with its time, in the time zone `zone`."""
    measured_at = shape["measured_at"]
    moment = f"{local(measured_at, zone)} ({zone})" if measured_at else "the clock is not set"
    say(f"{title}, {moment}")
    print_grid(shape)


def print_grid(shape: Shape) -> None:
    """Print values as a table: one row per quantity, one column per phase or channel.

    Energies come first, and the total of the phases last.
    """
    keys = [key for key in shape if is_quantity_key(key)]
    suffixes = sorted({split_key(key)[1] for key in keys}, key=lambda suffix: (not suffix, suffix))
    columns = [suffix.upper().replace("_", " ") or "total" for suffix in suffixes]
    print_table(["", *columns, "unit"], _grid(shape, keys, suffixes), right=columns)


def plain(value: object) -> str:
    """Return any value as text for programs; null is empty."""
    if value is None:
        return ""
    if isinstance(value, float):
        # Never 8.5e-05.
        return format(Decimal(repr(value)), "f")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def shown(key: str, value: float | None) -> str:
    """Return a value with a sensible number of decimals."""
    if value is None:
        return _NOTHING
    precision = quantity_of(key).precision
    # A value that rounds to zero has no sign.
    return f"{round(value, precision) + 0.0:.{precision}f}"


def _grid(shape: Shape, keys: list[str], suffixes: list[str]) -> list[Row]:
    cells = {split_key(key): shown(key, shape[key]) for key in keys}
    present = {quantity for quantity, _ in cells}
    return [
        (quantity.label, *(cells.get((quantity, suffix), "") for suffix in suffixes), quantity.unit)
        for quantity in sorted(QUANTITIES.values(), key=lambda quantity: quantity.unit != "kWh")
        if quantity in present
    ]


def unit_of(key: str) -> str:
    """Return the unit of a quantity key, "" for anything else."""
    return split_key(key)[0].unit if is_quantity_key(key) else ""
