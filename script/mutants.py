"""Change the code in small ways that do harm, and see whether a test notices.

`python -m script.mutants [--count N] [--seed S] [--jobs J] [--tests FOLDER,...] [ROOM ...]`; a room
is a package of esquirell (domain, services, storage, mqtt, tuya, beat, or domain/inference). First
the tests run once, or those of some folders, without a change, to learn which of them run which
line and how long each takes. Each mutant is then one change at random in a copy of the project, and
the tests that run the changed line run, the quick ones first, until one fails. What survives is
printed with its change: either a test is missing, or the change does no harm. Tests that start the
program as a process of its own are not asked, as nobody can see which lines they run.
"""

import argparse
import multiprocessing
import os
import random
import re
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import cache_from_source
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple
from xml.etree import ElementTree as ET

import pytest
from coverage import CoverageData

from script.changes import ROOT, Mutant, choose

ROOMS = ("domain", "services", "storage", "mqtt", "tuya", "beat")
TESTS = (*ROOMS, "profiles", "settings", "plots", "backfill", "homeassistant", "web")
# Tests of one mutant, by the time that they take without it.
BUDGET_S = 60.0
OUTPUT = "output.txt"
# Processes that have the libraries already: loading them takes longer than most tests.
PROCESSES = multiprocessing.get_context("forkserver")
LIBRARIES = ["pytest", "sqlalchemy", "alembic.config", "celery", "kombu.transport.redis", "redis"]
LIBRARIES += ["pydantic", "paho.mqtt.client", "tinytuya", "cryptography", "psycopg", "click"]


class Ran(NamedTuple):
    """What came of a run of tests."""

    code: int
    output: str


class Suite:
    """The tests: which run a line, and how long each takes; learnt by running them once."""

    def __init__(self, copy: Path, folders: Sequence[str]) -> None:
        done = _pytest(
            copy,
            [
                "-n2",
                "--cov=esquirell",
                "--cov-context=test",
                "--cov-report=",
                "--junitxml=junit.xml",
            ],
            [f"tests/{folder}" for folder in folders],
            limit_s=3600,
        )
        if done.code > 1:
            sys.exit(f"the tests do not run:\n{done.output[-4000:]}")
        self._data = CoverageData(str(copy / ".coverage"))
        self._data.read()
        self._copy = copy
        self._took = dict(_durations(copy / "junit.xml"))

    def of(self, changed: Mutant) -> tuple[list[str], float]:
        """Return the tests that could notice a mutant, quick ones first, and how long they take.

        What runs at import, as a constant, is noticed by those of the file and of its room.
        """
        by_line = self._data.contexts_by_lineno(str(self._copy / changed.file))
        found: set[str] = set()
        for lines in changed.lines:
            found = found or self._named(by_line, lines)
        if not found and not changed.lines:
            found = self._named(by_line, by_line)
            room = f"tests/{changed.file.parts[1]}/"
            found |= {test for test in self._took if test.startswith(room)}
        chosen: list[str] = []
        total = 0.0
        for test in sorted(found, key=lambda test: self._took[test]):
            if chosen and total + self._took[test] > BUDGET_S:
                break
            chosen.append(test)
            total += self._took[test]
        return chosen, total

    def _named(
        self, by_line: dict[int, list[str]], lines: range | dict[int, list[str]]
    ) -> set[str]:
        names = {name for line in lines for name in by_line.get(line, ())}
        return {test for name in names if (test := name.partition("|")[0]) in self._took}


def _durations(report: Path) -> Iterator[tuple[str, float]]:
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - pytest wrote it just now
        module, *classes = re.split(r"(?<=\.)(?=Test)", case.get("classname", ""))
        file = f"{module.rstrip('.').replace('.', '/')}.py"
        name = "::".join([file, *classes, case.get("name", "")])
        if case.find("failure") is not None or case.find("error") is not None:
            # What fails without a change says nothing about one.
            sys.stdout.write(f"left out, as it fails without a change: {name}\n")
            continue
        yield name, float(case.get("time", 0))


def _pytest(copy: Path, options: Sequence[str], tests: Sequence[str], limit_s: float) -> Ran:
    """Run tests in a copy. Raises TimeoutError; what they started is ended in any case."""
    child = PROCESSES.Process(target=_run, args=(copy, options, tests))
    child.start()
    child.join(limit_s)
    late = child.is_alive()
    if late:
        os.kill(child.pid or 0, signal.SIGINT)  # so that fixtures end their servers
        child.join(20)
    if child.is_alive():
        os.killpg(child.pid or 0, signal.SIGKILL)
        child.join()
    if late:
        raise TimeoutError
    return Ran(child.exitcode or 0, (copy / OUTPUT).read_text(encoding="utf-8", errors="replace"))


def _run(copy: Path, options: Sequence[str], tests: Sequence[str]) -> None:
    """Run tests in this process, a fork of one that has the libraries, but nothing of ours."""
    os.setsid()
    os.chdir(copy)
    os.environ["PYTHONPATH"] = str(copy)
    # With byte code: the tests are the same ones each time.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    sys.path.insert(0, str(copy))
    with (copy / OUTPUT).open("w", encoding="utf-8") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    (copy / "tests.txt").write_text("\n".join(tests), encoding="utf-8")
    always = ["-q", "--tb=short", "-p", "no:cacheprovider"]
    sys.exit(int(pytest.main([*always, *options, "@tests.txt"])))


def noticed(changed: Mutant, suite: Suite, copy: Path) -> str:
    """Return what noticed the mutant, the name of a test as a rule; nothing if it survives."""
    tests, usual_s = suite.of(changed)
    if not tests:
        return ""
    target = copy / changed.file
    original = target.read_text(encoding="utf-8")
    try:
        _write(target, changed.source)
        done = _pytest(copy, ["-x", "-n0"], tests, limit_s=4 * usual_s + 60)
    except TimeoutError:
        return "no end"
    finally:
        _write(target, original)
    if not done.code:
        return ""
    failed = [line for line in done.output.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failed[0][:120] if failed else f"exit {done.code}"


def _write(file: Path, source: str) -> None:
    """Write a source; byte code of the same second and length would pass for its own."""
    file.write_text(source, encoding="utf-8")
    Path(cache_from_source(str(file))).unlink(missing_ok=True)


def main() -> None:
    """Try mutants and print those that no test noticed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("rooms", nargs="*", default=ROOMS, metavar="ROOM")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--tests", default=",".join(TESTS), metavar="FOLDER,...")
    wanted = parser.parse_args()
    PROCESSES.set_forkserver_preload(LIBRARIES)
    chance = random.Random(wanted.seed)  # noqa: S311 - no secret
    chosen = choose(wanted.rooms, wanted.count, chance)
    tried: Counter[str] = Counter()
    survived: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        free: SimpleQueue[Path] = SimpleQueue()
        ignored = shutil.ignore_patterns(".git", ".venv", "*cache*", "dist", "site")
        for job in range(wanted.jobs):
            shutil.copytree(ROOT, copy := Path(folder) / str(job), ignore=ignored, symlinks=True)
            free.put(copy)
        suite = Suite(Path(folder) / "0", wanted.tests.split(","))

        def try_out(changed: Mutant) -> str:
            copy = free.get()
            try:
                return noticed(changed, suite, copy)
            finally:
                free.put(copy)

        with ThreadPoolExecutor(wanted.jobs) as pool:
            for changed, by in zip(chosen, pool.map(try_out, chosen), strict=True):
                room = changed.file.parts[1]
                tried[room] += 1
                survived[room] += not by
                verdict = f"noticed by {by}" if by else "SURVIVED"
                sys.stdout.write(f"{changed.place}: {changed.change[:200]}: {verdict}\n")
                sys.stdout.flush()
    for room, count in tried.items():
        sys.stdout.write(f"{room}: {count - survived[room]} of {count} were noticed\n")
    sys.stdout.write(f"{(tried - survived).total()} of {tried.total()} were noticed\n")


if __name__ == "__main__":
    main()
