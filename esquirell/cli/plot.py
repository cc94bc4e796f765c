"""`readings --plot`: history as charts in the terminal, or as a picture in a file."""

import shutil
import sys
from pathlib import Path

import click

from esquirell.cli.call import Call, misuse
from esquirell.cli.export import new_file
from esquirell.domain.periods import Calendar
from esquirell.domain.quantity import label_of
from esquirell.domain.statistic import PEAK_DEMAND, quantity_of
from esquirell.domain.submeters import Upstream, upstream_of
from esquirell.plots import svg, terminal
from esquirell.plots.figure import Figure
from esquirell.plots.gather import Choice, figures, likely
from esquirell.services.history import Columns, Found


def draw(call: Call, found: Found, picture: Path | None, *, force: bool) -> None:
    """Draw the rows in the terminal, or as a picture into a file. Raises UsageError."""
    if picture and picture.suffix.lower() != ".svg":
        raise misuse(
            f"--plot {picture} is not a picture: write --plot FILE.svg, or --plot alone at "
            "the end of the line"
        )
    calendar = call.storage.calendar
    upstream = upstream_of(call.settings.meters)
    if not picture:
        columns = shutil.get_terminal_size().columns
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        for figure in _figures(found, calendar, terminal.steps(columns), upstream):
            for line in terminal.draw(figure, columns, encoding=encoding):
                click.echo(line)
        return
    drawn = _figures(found, calendar, svg.WIDE, upstream)
    if len(drawn) > 1:
        units = ", ".join(figure.unit for figure in drawn)
        raise misuse(f"one picture shows one unit, not {units}: choose --quantity")
    with new_file(picture, force=force) as part:
        part.write_text(svg.draw_alone(drawn[0]), encoding="utf-8")


def _figures(found: Found, calendar: Calendar, steps: int, upstream: Upstream) -> list[Figure]:
    chosen = likely(found.columns)
    if not any(chosen.values()):
        raise misuse("nothing is stored to draw: choose another --quantity or --since")
    naming = _Naming(found.columns, {key for keys in chosen.values() for key in keys})
    return figures(found, Choice(chosen, naming, upstream), calendar, steps)


class _Naming:
    """Names series by what distinguishes them."""

    def __init__(self, columns: Columns, keys: set[str]) -> None:
        self._several_meters = columns.several
        self._several_keys = len(keys) > 1

    def __call__(self, meter: str, key: str) -> str:
        label = quantity_of(key).label if key == PEAK_DEMAND else label_of(key)
        if not self._several_meters:
            return label
        return f"{meter}, {label}" if self._several_keys else meter
