"""Output: tables in a terminal, tab-separated lines when piped, JSON on request; progress."""

import json
import re
import shutil
import sys
import textwrap
import threading
import time
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, Self

import click

from esquirell.cli.invocation import as_typed
from esquirell.domain.visible import visible

if TYPE_CHECKING:
    from rich.progress import TaskID

Row = Sequence[str]

# Never broken: a date with its time counts as one word, and so does an interval.
_WORD = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?|every \d+ s|\S+")
_START = re.compile(r" *(?:\d+\. )?")
_GAP = 2
_NARROWEST = 40
# A text that a column would break into more lines stands in a block of its row instead.
_MOST_LINES = 4
AFTER_S = 2.0
EVERY_S = 1.0
_CLEAR_LINE = "\r\x1b[K"


def in_terminal() -> bool:
    """Whether people rather than programs read the output."""
    return sys.stdout.isatty()


def print_json(data: object) -> None:
    """Print data as JSON, with escapes where the output is not UTF-8."""
    escaped = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    click.echo(json.dumps(data, ensure_ascii=escaped, allow_nan=False, indent=2))


def print_table(
    headings: Row, rows: Iterable[Row], right: Container[str] = (), *, empty: str = ""
) -> None:
    """Print rows under headings; the sentence `empty` if there are none.

    In a terminal the columns in `right` are right-aligned, a column without any value is left out,
    and text is wrapped between words: an id, a name or a number is never broken. If the columns are
    too wide together, each row becomes a block of lines. Piped, everything is printed, separated by
    tabs.
    """
    lines = list(rows)
    if not in_terminal():
        print_lines([headings, *lines])
    elif lines:
        _draw(headings, lines, right)
    elif empty:
        say(empty)


def print_lines(rows: Iterable[Row]) -> None:
    """Print one line per row, its cells separated by tabs, for programs to parse."""
    for row in rows:
        # A tab or a line break within a cell would look like the next one.
        click.echo("\t".join(visible(" ".join(cell.split())) for cell in row))


def say(sentence: str, *, err: bool = False, color: str = "") -> None:
    """Print a sentence; in a terminal it is wrapped between words, with a hanging indent.

    Commands in it are shown as they can be typed. `color` is that of its first character.
    """
    stream = sys.stderr if err else sys.stdout
    sentence = visible(as_typed(sentence))
    text = wrapped(sentence) if stream.isatty() else sentence
    click.echo(click.style(text[:1], fg=color) + text[1:] if color else text, err=err)


def warn(sentence: str) -> None:
    """Print a warning; the command continues."""
    say(f"warning: {sentence}", err=True)


def complain(sentence: str) -> None:
    """Print an error; the command may go on, and print others."""
    say(f"esquirell: {sentence}", err=True)


def wrapped(sentence: str) -> str:
    """Wrap a sentence at the width of the terminal; a path or command stays whole."""
    width = max(shutil.get_terminal_size().columns, _NARROWEST)
    return "\n".join(_wrapped(line, width) for line in sentence.split("\n"))


def _wrapped(line: str, width: int) -> str:
    """Wrap one line; the rest is indented as its text is, behind a number, or by two."""
    start = _START.match(line)
    indent = " " * ((start and len(start[0])) or 2)
    return textwrap.fill(
        line,
        width,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _draw(headings: Row, lines: Sequence[Row], right: Container[str]) -> None:
    shown = [number for number in range(len(headings)) if any(line[number] for line in lines)]
    titles = [headings[number].replace("_", " ") for number in shown]
    cells = [[visible(line[number]) for number in shown] for line in lines]
    flush = [headings[number] in right for number in shown]
    widths = _widths([titles, *cells])
    if widths is not None and _is_readable(cells, widths):
        _print_grid(titles, cells, flush, widths)
        return
    for number, line in enumerate(cells):
        if number:
            click.echo()
        pairs = [pair for pair in zip(titles, line, strict=True) if pair[1]]
        _print_grid((), pairs, (False, False), _widths(pairs) or _longest_words(pairs))


def _print_grid(
    titles: Row, lines: Iterable[Row], flush: Iterable[bool], widths: Sequence[int]
) -> None:
    # Loaded on use: it takes longer than most commands take when their output is piped.
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), show_header=bool(titles))
    for title, is_flush, width in zip(titles or ("", ""), flush, widths, strict=True):
        justify: Literal["right", "left"] = "right" if is_flush else "left"
        table.add_column(title, justify=justify, width=width)
    for line in lines:
        table.add_row(*line)
    width = sum(widths) + _GAP * len(widths)
    Console(markup=False, highlight=False, emoji=False, width=width).print(table)


def _widths(lines: Sequence[Row]) -> list[int] | None:
    """Return the width of each column without breaking a word; None if they do not fit."""
    from rich.cells import cell_len  # noqa: PLC0415 - as above

    widths = _longest_words(lines)
    room = shutil.get_terminal_size().columns - sum(widths) - _GAP * (len(widths) - 1)
    if room < 0:
        return None
    wishes = [
        max(cell_len(cell) for cell in column) - width
        for column, width in zip(zip(*lines, strict=True), widths, strict=True)
    ]
    # Short columns first: they stay on one line, and the long ones share the rest.
    by_wish = sorted(range(len(widths)), key=wishes.__getitem__)
    for place, number in enumerate(by_wish):
        more = min(wishes[number], room // (len(by_wish) - place))
        widths[number] += more
        room -= more
    return widths


def _is_readable(cells: Iterable[Row], widths: Sequence[int]) -> bool:
    """Whether no text is broken into a narrow column of many lines."""
    from rich.cells import cell_len  # noqa: PLC0415 - as above

    return all(
        cell_len(cell) <= _MOST_LINES * width
        for line in cells
        for cell, width in zip(line, widths, strict=True)
    )


def _longest_words(lines: Sequence[Row]) -> list[int]:
    from rich.cells import cell_len  # noqa: PLC0415 - as above

    return [
        max(cell_len(word) for cell in column for word in _WORD.findall(cell) or ("",))
        for column in zip(*lines, strict=True)
    ]


@contextmanager
def working(what: str, after_s: float = AFTER_S, every_s: float = EVERY_S) -> Iterator[None]:
    """Show what is being done, and for how long, once it takes more than some seconds."""
    if not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    thread = threading.Thread(target=_show, args=(what, done, after_s, every_s), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _show(what: str, done: threading.Event, after_s: float, every_s: float) -> None:
    began, pause, shown = time.monotonic(), after_s, False
    while not done.wait(pause):
        pause, shown = every_s, True
        sys.stderr.write(f"{_CLEAR_LINE}{what} … {time.monotonic() - began:.0f} s")
        sys.stderr.flush()
    if shown:
        sys.stderr.write(_CLEAR_LINE)
        sys.stderr.flush()


class Progress:
    """One progress bar per piece of work, by its name."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - slow to load, and few commands need it
        from rich.progress import Progress as Bars  # noqa: PLC0415

        self._bars = Bars(console=Console(stderr=True), disable=not sys.stderr.isatty())
        self._tasks: dict[str, TaskID] = {}

    def show(self, name: str, done: int, whole: int) -> None:
        """Show how much of a piece of work is done."""
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=whole)
        self._bars.update(self._tasks[name], completed=done)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the bars as they are."""
        self._bars.stop()
