"""Stored readings row by row, however many they are: none of these keeps more than one."""

import csv
import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO
from zoneinfo import ZoneInfo

import click

from esquirell.cli.moments import SHOWN
from esquirell.cli.output import in_terminal
from esquirell.cli.values import shown
from esquirell.domain.reading import Reading, iso
from esquirell.domain.statistic import quantity_of

# What is shown first where not all columns fit: totals, and of these what people look for.
_FIRST = ("active_power", "energy_import", "energy_export", "voltage", "current")
_NARROWEST = 9
_GAP = "  "
_TIME_WIDTH = 19


@dataclass(frozen=True, slots=True)
class Columns:
    """The quantity keys of each meter, by name; `wanted` are those asked for, None: all.

    `time` is what the moment of a row is called.
    """

    of: Mapping[str, Sequence[str]]
    wanted: Sequence[str] | None
    time: str = "measured_at"

    @property
    def several(self) -> bool:
        """Tell whether rows have to say which meter they are of."""
        return len(self.of) > 1

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all meters."""
        return tuple(dict.fromkeys(key for keys in self.of.values() for key in keys))

    def row(self, reading: Reading) -> dict[str, object]:
        """Lay a reading out, with all keys of its meter; what it did not send is null."""
        row: dict[str, object] = {self.time: iso(reading.measured_at)}
        if self.several:
            row["meter"] = reading.meter
        return row | dict.fromkeys(self.of.get(reading.meter, ())) | dict(reading.values)


def write_json(readings: Iterable[Reading], columns: Columns, target: TextIO) -> None:
    """Write a list of objects."""
    opening = "["
    for reading in readings:
        row = json.dumps(columns.row(reading), ensure_ascii=False, allow_nan=False)
        target.write(f"{opening}\n{row}")
        opening = ","
    target.write("[]\n" if opening == "[" else "\n]\n")
    target.flush()


def write_csv(
    readings: Iterable[Reading], columns: Columns, target: TextIO, *, separator: str = ","
) -> None:
    """Write a heading and a line per reading, times in UTC; null is empty."""
    heading = [columns.time, *(["meter"] if columns.several else []), *columns.keys]
    writer = csv.DictWriter(target, heading, restval="", delimiter=separator, lineterminator="\n")
    writer.writeheader()
    for reading in readings:
        writer.writerow(columns.row(reading))
    target.flush()


def print_table(readings: Iterable[Reading], columns: Columns, zone: str) -> None:
    """Print what fits in a terminal, in the time of `zone`; all of it when piped."""
    if not in_terminal():
        write_csv(readings, columns, sys.stdout, separator="\t")
        return
    meter_width = max(map(len, columns.of), default=0) if columns.several else 0
    keys = columns.wanted or _fitting(columns.keys, meter_width)
    click.echo(_line(zone, "meter", [(key, key) for key in keys], meter_width))
    click.echo(_line("", "", [(key, quantity_of(key).unit) for key in keys], meter_width))
    for reading in readings:
        cells = [(key, shown(key, reading.values.get(key))) for key in keys]
        time = reading.measured_at.astimezone(ZoneInfo(zone)).strftime(SHOWN)
        sys.stdout.write(_line(time, reading.meter, cells, meter_width) + "\n")
    sys.stdout.flush()
    if hidden := len(set(columns.keys) - set(keys)):
        click.echo(f"{hidden} quantities are not shown: --quantity KEY, or --format csv", err=True)


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
