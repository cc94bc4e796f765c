"""Rows of history, streamed: none of these functions keeps more than one row.

JSON has times in UTC; in tables and CSV a period has its local date.
"""

import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import TextIO

import click

from esquirell.cli.moments import SHOWN
from esquirell.cli.output import in_terminal, say
from esquirell.cli.values import shown
from esquirell.domain.periods import Calendar
from esquirell.domain.quantity import is_quantity_key
from esquirell.domain.statistic import quantity_of
from esquirell.services.csv_rows import csv_lines
from esquirell.services.history import Columns, Row, View

# Shown first where not all columns fit: totals, the most wanted first.
_POWER, _ENERGY = ("active_power",), ("energy_import", "energy_export")
_REST = ("voltage", "current")
_NARROWEST = 9
_SUM = "sum"
_GAP = "  "
_MARK = " ~"
_NOTHING = "nothing is stored for that time"
_ESTIMATED = "~ estimated: the energy of a gap, spread evenly over it"
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
    """Write a heading and a line per row, null as nothing; that there is none is said on stderr."""
    coming = iter(rows)
    first = next(coming, None)
    found = coming if first is None else chain([first], coming)
    target.writelines(csv_lines(found, columns, calendar, separator))
    target.flush()
    if first is None:
        say(_NOTHING, err=True)


def print_table(rows: Iterable[Row], columns: Columns, calendar: Calendar) -> None:
    """Print what fits in a terminal, in local time; everything when piped."""
    if not in_terminal():
        write_csv(rows, columns, sys.stdout, calendar, separator="\t")
        return
    meter_width = max(map(len, columns.of), default=0) if columns.several else 0
    keys = columns.wanted or _fitting(columns, meter_width)
    sums: dict[str, float] = {}
    count = 0
    marked = False
    for row in rows:
        if not count:
            _print_headings(calendar.zone, keys, meter_width)
        count += 1
        cells = [(key, shown(key, row.values.get(key))) for key in keys]
        if columns.view != "raw":
            _add(sums, row, keys)
        time = _time(row.at, columns.view, calendar)
        marked = marked or row.estimated
        time += _MARK if row.estimated else ""
        sys.stdout.write(_line(time, row.meter, cells, meter_width) + "\n")
    if sums and count > 1:
        cells = [(key, shown(key, sums[key]) if key in sums else "") for key in keys]
        sys.stdout.write(_line(_SUM, "", cells, meter_width) + "\n")
    sys.stdout.flush()
    if not count:
        say(_NOTHING)
        return
    if marked:
        say(_ESTIMATED, err=True)
    if hidden := len(set(columns.keys) - set(keys)):
        are = "quantity is" if hidden == 1 else "quantities are"
        say(f"{hidden} {are} not shown: --quantity KEY, or --format csv", err=True)


def _time(at: datetime, view: View, calendar: Calendar) -> str:
    return calendar.local(at).strftime(SHOWN) if view == "raw" else calendar.title(at, view)


def _print_headings(zone: str, keys: Sequence[str], meter_width: int) -> None:
    """Print the keys, one word per line where that is narrower, and their units."""
    words = {key: _words(key) for key in keys}
    height = max((len(lines) for lines in words.values()), default=1)
    first = (zone, "meter")
    for number in range(height):
        cells = [(key, "".join(words[key][number : number + 1])) for key in keys]
        click.echo(_line(*first, cells, meter_width))
        first = ("", "")
    click.echo(_line("", "", [(key, quantity_of(key).unit) for key in keys], meter_width))


def _add(sums: dict[str, float], row: Row, keys: Iterable[str]) -> None:
    """Add the energies of a period to the sums."""
    for key in keys:
        value = row.values.get(key)
        if value is not None and is_quantity_key(key) and quantity_of(key).unit == "kWh":
            sums[key] = sums.get(key, 0.0) + value


def _fitting(columns: Columns, meter_width: int) -> list[str]:
    """Return the keys that fit: for periods, energies first."""
    first = (*_POWER, *_ENERGY) if columns.view == "raw" else (*_ENERGY, *_POWER)
    ranks = {key: place for place, key in enumerate((*first, *_REST))}
    left = shutil.get_terminal_size().columns - _TIME_WIDTH
    left -= meter_width + len(_GAP) if meter_width else 0
    fitting: list[str] = []
    for key in sorted(columns.keys, key=lambda key: _rank(key, ranks)):
        left -= len(_GAP) + _width(key)
        if left < 0:
            break
        fitting.append(key)
    return fitting


def _rank(key: str, ranks: Mapping[str, int]) -> tuple[bool, int]:
    # Of a period's three figures the mean is the most useful.
    plain = key.removesuffix("_mean")
    quantity = quantity_of(plain).key
    return plain != quantity, ranks.get(quantity, len(ranks))


def _line(time: str, meter: str, cells: Iterable[tuple[str, str]], meter_width: int) -> str:
    line = time.ljust(_TIME_WIDTH)
    if meter_width:
        line += _GAP + meter.ljust(meter_width)
    return line + "".join(_GAP + text.rjust(_width(key)) for key, text in cells)


def _width(key: str) -> int:
    return max(map(len, _words(key)))


def _words(key: str) -> list[str]:
    """Return a key split into heading lines; none is narrower than its values."""
    longest = max(_NARROWEST, *map(len, key.split("_")))
    lines = textwrap.wrap(key.replace("_", " "), longest)
    return [line.rjust(longest) for line in lines]
