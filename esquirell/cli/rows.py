"""Rows of the past, however many they are: none of these keeps more than one.

JSON has moments in UTC; in tables and CSV a period has its local date.
"""

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TextIO

import click

from esquirell.cli.moments import SHOWN
from esquirell.cli.output import in_terminal, say
from esquirell.cli.values import shown
from esquirell.domain.periods import Calendar
from esquirell.domain.statistic import quantity_of
from esquirell.services.csv_rows import csv_lines
from esquirell.services.history import Columns, Row, View

# What is shown first where not all columns fit: totals, and of these what people look for.
_FIRST = ("active_power", "energy_import", "energy_export", "voltage", "current")
_NARROWEST = 9
_GAP = "  "
_MARK = " ~"
_ESTIMATED = "~ estimated: energy of a gap that is spread evenly"
_TIME_WIDTH = 19


def write_json(rows: Iterable[Row], columns: Columns, target: TextIO) -> None:
    """Write a list of objects."""
    opening = "["
    for row in rows:
        shape = json.dumps(columns.shape(row), ensure_ascii=False, allow_nan=False)
        target.write(f"{opening}\n{shape}")
        opening = ","
    target.write("[]\n" if opening == "[" else "\n]\n")
    target.flush()


def write_csv(
    rows: Iterable[Row],
    columns: Columns,
    target: TextIO,
    calendar: Calendar,
    *,
    separator: str = ",",
) -> None:
    """Write a heading and a line per row; null is empty."""
    target.writelines(csv_lines(rows, columns, calendar, separator))
    target.flush()


def print_table(rows: Iterable[Row], columns: Columns, calendar: Calendar) -> None:
    """Print what fits in a terminal, in local time; all of it when piped."""
    if not in_terminal():
        write_csv(rows, columns, sys.stdout, calendar, separator="\t")
        return
    meter_width = max(map(len, columns.of), default=0) if columns.several else 0
    keys = columns.wanted or _fitting(columns.keys, meter_width)
    click.echo(_line(calendar.zone, "meter", [(key, key) for key in keys], meter_width))
    click.echo(_line("", "", [(key, quantity_of(key).unit) for key in keys], meter_width))
    marked = False
    for row in rows:
        cells = [(key, shown(key, row.values.get(key))) for key in keys]
        time = _time(row.at, columns.view, calendar)
        marked = marked or row.estimated
        time += _MARK if row.estimated else ""
        sys.stdout.write(_line(time, row.meter, cells, meter_width) + "\n")
    sys.stdout.flush()
    if marked:
        say(_ESTIMATED, err=True)
    if hidden := len(set(columns.keys) - set(keys)):
        say(f"{hidden} quantities are not shown: --quantity KEY, or --format csv", err=True)


def _time(at: datetime, view: View, calendar: Calendar) -> str:
    return calendar.local(at).strftime(SHOWN) if view == "raw" else calendar.title(at, view)


def _fitting(keys: Sequence[str], meter_width: int) -> list[str]:
    left = shutil.get_terminal_size().columns - _TIME_WIDTH
    left -= meter_width + len(_GAP) if meter_width else 0
    fitting: list[str] = []
    for key in sorted(keys, key=_rank):
        left -= len(_GAP) + _width(key)
        if left < 0:
            break
        fitting.append(key)
    return fitting


def _rank(key: str) -> tuple[bool, int]:
    # Of the three figures of a period the mean tells most.
    plain = key.removesuffix("_mean")
    quantity = quantity_of(plain).key
    place = _FIRST.index(quantity) if quantity in _FIRST else len(_FIRST)
    return plain != quantity, place


def _line(time: str, meter: str, cells: Iterable[tuple[str, str]], meter_width: int) -> str:
    line = time.ljust(_TIME_WIDTH)
    if meter_width:
        line += _GAP + meter.ljust(meter_width)
    return line + "".join(_GAP + text.rjust(_width(key)) for key, text in cells)


def _width(key: str) -> int:
    return max(len(key), _NARROWEST)
