"""Figures 9 and 10: a year of minutes of one meter, on SQLite and on PostgreSQL."""

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.postgres import postgres
from benchmarks.programs import ROOT, MissingError, environment
from benchmarks.report import Result
from benchmarks.run import Run

MODULE = "benchmarks.history"
YEAR, QUICK_READINGS = 525_600, 20_000
LIMIT_S = 900.0
LINE = re.compile(
    r"(?P<what>.{36}) +(?P<value>[\d.]+) (?P<unit>\S+) +\(at most (?P<limit>[\d.]+)\)"
)
SIZE = "bytes per reading"


def measure(run: Run) -> Result:
    """Run benchmarks/history.py on each database."""
    result = Result()
    if importlib.util.find_spec(MODULE) is None:
        result.unmeasured(9, SIZE, "benchmarks/history.py is not there")
        result.unmeasured(10, "queries on a year of minutes", "benchmarks/history.py is not there")
        return result
    count = QUICK_READINGS if run.quick else YEAR
    with run.scratch() as folder:
        _take(run, result, "SQLite", count, _program(count, folder))
        try:
            with _database(folder) as url:
                _take(run, result, "PostgreSQL", count, _program(count, folder, "--url", url))
        except MissingError as error:
            result.unmeasured(10, "the same on PostgreSQL", str(error))
    return result


@contextmanager
def _database(folder: Path) -> Iterator[str]:
    with postgres(folder) as url:
        yield url


def _program(count: int, folder: Path, *more: str) -> str:
    """Run the program; return what it printed. It ends with 1 when a figure is missed."""
    done = subprocess.run(
        [sys.executable, "-m", MODULE, "--readings", str(count), *more],
        cwd=ROOT,
        env=environment() | {"TMPDIR": os.fspath(folder)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    return done.stdout or done.stderr


def _take(run: Run, result: Result, database: str, count: int, printed: str) -> None:
    """Take over what the program printed, one figure a line."""
    found = [match for line in printed.splitlines() if (match := LINE.match(line))]
    run.say(f"history: {database}, {count:,} readings, {len(found)} figures")
    for match in found:
        what = match["what"].strip()
        number = 9 if what == SIZE else 10
        if number == 9 and database != "SQLite":  # noqa: PLR2004 - the size is one for SQLite
            continue
        shown = f"{what}, {count:,} readings, {database}"
        result.at_most(number, shown, float(match["value"]), float(match["limit"]), match["unit"])
    if not found:
        result.unmeasured(10, f"queries on {database}", "benchmarks/history.py printed no figure")
