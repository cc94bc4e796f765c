"""Plots of stored readings: in the terminal, or as a picture in a file."""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import click

from esquirell.cli import braille, svg
from esquirell.cli.call import misuse
from esquirell.cli.curves import Curve, Frame, gather, is_amount
from esquirell.cli.export import new_file
from esquirell.cli.readings import IN_TERMINAL
from esquirell.domain.periods import Calendar
from esquirell.domain.statistic import EXTREMES, quantity_of
from esquirell.services.history import Columns, Row

# What is drawn of a meter unless somebody says what.
_LIKELY = ("energy_import", "energy_export"), ("active_power",)


@dataclass(frozen=True, slots=True)
class Plot:
    """What to plot, and where: in the terminal, or as a picture in `file`."""

    where: str
    columns: Columns
    span: tuple[datetime, datetime]
    calendar: Calendar

    def __post_init__(self) -> None:
        """Refuse what can't be drawn. Raises UsageError."""
        if self.where != IN_TERMINAL and Path(self.where).suffix.lower() != ".svg":
            raise misuse(
                f"--plot {self.where} is no picture: write --plot FILE.svg, or --plot alone at "
                "the end of the line"
            )

    def draw(self, found: Iterable[Row], *, force: bool) -> None:
        """Draw what was found. Raises UsageError."""
        curves = self._curves()
        if not curves:
            raise misuse("nothing of this is stored: choose another --quantity")
        if self.where == IN_TERMINAL:
            self._print(found, curves)
        else:
            self._write(found, curves, force=force)

    def _print(self, found: Iterable[Row], curves: dict[tuple[str, str], Curve]) -> None:
        frame = Frame(*self.span, braille.steps(shutil.get_terminal_size().columns))
        gather(found, curves, frame)
        for curve in curves.values():
            for line in braille.draw(curve, frame, self.calendar.zone):
                click.echo(line)

    def _write(
        self, found: Iterable[Row], curves: dict[tuple[str, str], Curve], *, force: bool
    ) -> None:
        if len(units := dict.fromkeys(curve.unit for curve in curves.values())) > 1:
            raise misuse(f"one picture shows one unit, not {', '.join(units)}: choose --quantity")
        frame = Frame(*self.span, svg.STEPS)
        with new_file(Path(self.where), force=force) as part:
            gather(found, curves, frame)
            lines = svg.draw([*curves.values()], frame, self.calendar.zone)
            part.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _curves(self) -> dict[tuple[str, str], Curve]:
        return {(meter, key): self._curve(meter, key) for meter, key in self._keys()}

    def _curve(self, meter: str, key: str) -> Curve:
        name = f"{meter} {key}" if self.columns.several else key
        return Curve(name, quantity_of(_plain(key)).unit, is_amount(key, self.columns.view))

    def _keys(self) -> Iterator[tuple[str, str]]:
        for meter, keys in self.columns.of.items():
            for key in self._drawn(keys):
                yield meter, key

    def _drawn(self, keys: Iterable[str]) -> list[str]:
        """Choose keys: of the three figures of a period the mean, without a wish the likely."""
        plain = [key for key in keys if not key.endswith(("_min", "_max"))]
        if self.columns.wanted is not None:
            return plain
        likely = _LIKELY[self.columns.view == "raw"]
        total = [key for key in plain if key in likely]
        return total or [key for key in plain if quantity_of(_plain(key)).key in likely]


def _plain(key: str) -> str:
    """Give the quantity key of a figure of a period."""
    head, _, tail = key.rpartition("_")
    return head if tail in EXTREMES else key
