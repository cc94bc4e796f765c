"""Output: tables in a terminal, tab-separated lines when piped, JSON when asked for."""

import json
import sys
from collections.abc import Container, Iterable, Sequence
from typing import Literal

import click

Row = Sequence[str]
# As long as a day.
UNFOLDED = 10


def in_terminal() -> bool:
    """Whether people read what is printed, rather than programs."""
    return sys.stdout.isatty()


def print_json(data: object) -> None:
    """Print data as JSON."""
    click.echo(json.dumps(data, ensure_ascii=False, allow_nan=False, indent=2))


def print_table(headings: Row, rows: Iterable[Row], right: Container[str] = ()) -> None:
    """Print rows under headings; in a terminal the columns named in `right` are flush right."""
    if in_terminal():
        _draw(headings, rows, right)
    else:
        print_lines([headings, *rows])


def print_lines(rows: Iterable[Row]) -> None:
    """Print one line per row, its cells separated by tabs, for programs to read."""
    for row in rows:
        # A tab or a line break within a cell would look like the next one.
        click.echo("\t".join(" ".join(cell.split()) for cell in row))


def warn(sentence: str) -> None:
    """Print a warning: the command goes on."""
    click.echo(f"warning: {sentence}", err=True)


def complain(sentence: str) -> None:
    """Print an error as the border does, where there is more than one."""
    click.echo(f"esquirell: {sentence}", err=True)


def _draw(headings: Row, rows: Iterable[Row], right: Container[str]) -> None:
    # Loaded on use: it takes longer than most commands have to do when their output is piped.
    from rich import box  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    lines = list(rows)
    for number, heading in enumerate(headings):
        justify: Literal["right", "left"] = "right" if heading in right else "left"
        longest = max((len(line[number]) for line in lines), default=0)
        # Folded, not cut: a name that can't be read whole can't be typed. But no day or figure.
        table.add_column(
            heading.replace("_", " "),
            justify=justify,
            overflow="fold",
            min_width=longest if longest <= UNFOLDED else None,
        )
    for line in lines:
        table.add_row(*line)
    Console(markup=False, highlight=False, emoji=False).print(table)
