"""Rows of history, streamed: none of these functions keeps more than one row.

JSON has times in UTC; in tables and CSV a period has its local date.
"""

import json
import shutil
import sys
import textwrap
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import TextIO

import click

from esquirell.cli.moments import SHOWN
from esquirell.cli.output import in_terminal, say
from esquirell.cli.values import shown
from esquirell.domain.meter import Meter
from esquirell.domain.periods import Calendar
from esquirell.domain.quantity import is_quantity_key
from esquirell.domain.statistic import quantity_of
from esquirell.domain.submeters import Upstream, behind, upstream_of
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
_YEAR = len("2026-")


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


def print_table(
    rows: Iterable[Row], columns: Columns, calendar: Calendar, meters: Sequence[Meter]
) -> None:
    """Print what fits in a terminal, in local time; everything when piped.

    The sums leave out those of the `meters` whose energy another one has measured as well.
    """
    if not in_terminal():
        write_csv(rows, columns, sys.stdout, calendar, separator="\t")
        return
    keys, widths = _layout(columns)
    energies: dict[str, dict[str, float]] = {}
    count = 0
    marked = False
    for row in rows:
        if not count:
            _print_headings(calendar.zone, keys, widths)
        count += 1
        if columns.view != "raw":
            _add(energies, row, keys)
        marked = marked or row.estimated
        cells = [(key, shown(key, row.values.get(key))) for key in keys]
        time = _time(row, columns.view, calendar, widths[0])
        sys.stdout.write(_line(time, row.meter, cells, widths) + "\n")
    contained = _contained(energies, upstream_of(meters))
    summed = energies and count > 1
    if summed:
        sums = _sums(energies, contained)
        cells = [(key, shown(key, sums[key]) if key in sums else "") for key in keys]
        sys.stdout.write(_line(_SUM, "", cells, widths) + "\n")
    sys.stdout.flush()
    if not count:
        say(_NOTHING)
        return
    if marked:
        say(_ESTIMATED, err=True)
    if summed:
        say_uncounted({meter for meter, _ in contained})
    _say_hidden(len(set(columns.keys) - set(keys)))


def _say_hidden(hidden: int) -> None:
    """Say how many quantities there was no room for, if any."""
    if hidden:
        are = "quantity is" if hidden == 1 else "quantities are"
        say(f"{hidden} {are} not shown: --quantity KEY, or --format csv", err=True)


def say_uncounted(contained: Collection[str]) -> None:
    """Name the meters that a sum leaves out, if there are any."""
    if contained:
        names = ", ".join(sorted(contained))
        say(f"the sum leaves out what is behind another meter: {names}", err=True)


def _time(row: Row, view: View, calendar: Calendar, width: int) -> str:
    """Return the time of a row, without the year where it does not fit."""
    time = calendar.local(row.at).strftime(SHOWN) if view == "raw" else calendar.title(row.at, view)
    if len(time) > width - len(_MARK) and width < _TIME_WIDTH:
        time = time[_YEAR:]
    return time + (_MARK if row.estimated else "")


def _print_headings(zone: str, keys: Sequence[str], widths: tuple[int, int]) -> None:
    """Print the keys, one word per line where that is narrower, and their units."""
    words = {key: _words(key) for key in keys}
    height = max((len(lines) for lines in words.values()), default=1)
    first = (zone if len(zone) <= widths[0] else zone.rpartition("/")[2], "meter")
    for number in range(height):
        cells = [(key, "".join(words[key][number : number + 1])) for key in keys]
        click.echo(_line(*first, cells, widths))
        first = ("", "")
    click.echo(_line("", "", [(key, quantity_of(key).unit) for key in keys], widths))


def _add(energies: dict[str, dict[str, float]], row: Row, keys: Iterable[str]) -> None:
    """Add the energies of a period to those of its meter."""
    for key in keys:
        value = row.values.get(key)
        if value is not None and is_quantity_key(key) and quantity_of(key).unit == "kWh":
            of = energies.setdefault(row.meter, {})
            of[key] = of.get(key, 0.0) + value


def _contained(
    energies: Mapping[str, Mapping[str, float]], upstream: Upstream
) -> set[tuple[str, str]]:
    """Return the meters and quantities that another meter of these measures as well."""
    measuring: dict[str, set[str]] = {}
    for meter, of in energies.items():
        for key in of:
            measuring.setdefault(quantity_of(key).key, set()).add(meter)
    return {
        (meter, quantity) for quantity, of in measuring.items() for meter in behind(of, upstream)
    }


def _sums(
    energies: Mapping[str, Mapping[str, float]], contained: Collection[tuple[str, str]]
) -> dict[str, float]:
    sums: dict[str, float] = {}
    for meter, of in energies.items():
        for key, kwh in of.items():
            if (meter, quantity_of(key).key) not in contained:
                sums[key] = sums.get(key, 0.0) + kwh
    return sums


def _layout(columns: Columns) -> tuple[Sequence[str], tuple[int, int]]:
    """Return the keys to show, and the widths of time and meter; without the year if need be."""
    meter_width = max(map(len, columns.of), default=0) if columns.several else 0
    left = shutil.get_terminal_size().columns - (meter_width and len(_GAP) + meter_width)
    for time_width in (_TIME_WIDTH, _TIME_WIDTH - _YEAR):
        keys = columns.wanted or _fitting(columns, left - time_width)
        if left - time_width >= sum(len(_GAP) + _width(key) for key in keys) > 0:
            break
    return keys or sorted(columns.keys, key=_ranking(columns))[:1], (time_width, meter_width)


def _fitting(columns: Columns, room: int) -> list[str]:
    """Return the most wanted keys that fit."""
    fitting: list[str] = []
    for key in sorted(columns.keys, key=_ranking(columns)):
        room -= len(_GAP) + _width(key)
        if room < 0:
            break
        fitting.append(key)
    return fitting


def _ranking(columns: Columns) -> Callable[[str], tuple[bool, int]]:
    """Return the order of the keys: for periods, energies first."""
    first = (*_POWER, *_ENERGY) if columns.view == "raw" else (*_ENERGY, *_POWER)
    ranks = {key: place for place, key in enumerate((*first, *_REST))}
    return lambda key: _rank(key, ranks)


def _rank(key: str, ranks: Mapping[str, int]) -> tuple[bool, int]:
    # Of a period's three figures the mean is the most useful.
    plain = key.removesuffix("_mean")
    quantity = quantity_of(plain).key
    return plain != quantity, ranks.get(quantity, len(ranks))


def _line(time: str, meter: str, cells: Iterable[tuple[str, str]], widths: tuple[int, int]) -> str:
    line = time.ljust(widths[0])
    if widths[1]:
        line += _GAP + meter.ljust(widths[1])
    return line + "".join(_GAP + text.rjust(_width(key)) for key, text in cells)


def _width(key: str) -> int:
    return max(map(len, _words(key)))


def _words(key: str) -> list[str]:
    """Return a key split into heading lines; none is narrower than its values."""
    longest = max(_NARROWEST, *map(len, key.split("_")))
    lines = textwrap.wrap(key.replace("_", " "), longest)
    return [line.rjust(longest) for line in lines]
