"""Change the code in small ways that do harm, and see whether a test notices.

`python script/mutants.py [--count N] [--seed S] [--jobs J] [ROOM ...]`; a room is a package of
esquirell (domain, services, storage, mqtt, tuya, beat). First the tests run once, without a
change, to learn which of them run which line and how long each takes. Each mutant is then one
change at random in a copy of the project, and the tests that run the changed line run, the quick
ones first, until one fails. What survives is printed with its change: either a test is missing, or
the change does no harm. Tests that start the program as a process of its own are not asked, as
nobody can see which lines they run.
"""

import argparse
import ast
import multiprocessing
import os
import random
import re
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple
from xml.etree import ElementTree as ET

import pytest
from coverage import CoverageData

ROOT = Path(__file__).parents[1]
ROOMS = ("domain", "services", "storage", "mqtt", "tuya", "beat")
TESTS = (*ROOMS, "profiles", "settings", "plots", "backfill", "homeassistant", "web")
# Tests of one mutant, by the time that they take without it.
BUDGET_S = 60.0
OUTPUT = "output.txt"
# Processes that have the libraries already: loading them takes longer than most tests.
PROCESSES = multiprocessing.get_context("forkserver")
LIBRARIES = ["pytest", "sqlalchemy", "alembic.config", "celery", "kombu.transport.redis", "redis"]
LIBRARIES += ["pydantic", "paho.mqtt.client", "tinytuya", "cryptography", "psycopg", "click"]
SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}
# What is decorated so holds nothing that does harm: how a class is made, how much is remembered.
HARMLESS = {"dataclass", "lru_cache"}


@dataclass(frozen=True)
class Place:
    """Where a change can be made: a node of a file, by its number, and which change."""

    file: Path
    node: int
    change: int


@dataclass(frozen=True)
class Mutant:
    """One change: the new source of a file, where it is, and in which lines it is noticed.

    `lines` are those of the changed statement, and of the function around it.
    """

    file: Path
    line: int
    change: str
    source: str
    lines: tuple[range, ...]

    @property
    def place(self) -> str:
        """File and line, for people."""
        return f"{self.file}:{self.line}"


def places(file: Path) -> Iterator[Place]:
    """Return every place of a file where a change can be made."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    skipped = set(_harmless(tree))
    for number, node in enumerate(ast.walk(tree)):
        if node not in skipped:
            for change, _ in enumerate(_changes(node)):
                yield Place(file, number, change)


def mutant(place: Place) -> Mutant:
    """Make the change at a place."""
    tree = ast.parse((ROOT / place.file).read_text(encoding="utf-8"))
    node = list(ast.walk(tree))[place.node]
    lines = tuple(_around(tree, node))
    change = list(_changes(node))[place.change]
    before = ast.unparse(node).splitlines()
    change(node)
    after = ast.unparse(node).splitlines()
    told = next(
        (f"{a.strip()}  ->  {b.strip()}" for a, b in zip(before, after, strict=False) if a != b),
        "",
    )
    return Mutant(place.file, getattr(node, "lineno", 0), told, ast.unparse(tree), lines)


def _harmless(tree: ast.AST) -> Iterator[ast.AST]:
    """Return the nodes that are no behaviour: types, and arguments of harmless decorators."""
    for node in ast.walk(tree):
        match node:
            case ast.AnnAssign() | ast.arg() if node.annotation:
                yield from ast.walk(node.annotation)
            case ast.FunctionDef() if node.returns:
                yield from ast.walk(node.returns)
            case ast.Call(func=ast.Name(id=name)) if name in HARMLESS:
                yield from ast.walk(node)
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                yield from ast.walk(node)


def _around(tree: ast.AST, node: ast.AST) -> Iterator[range]:
    """Return the lines of the statement that holds the node, then those of its function."""
    holders = [
        found
        for found in ast.walk(tree)
        if isinstance(found, ast.stmt) and any(inner is node for inner in ast.walk(found))
    ]
    holders.sort(key=lambda found: (found.lineno, -(found.end_lineno or 0)))
    statement = holders[-1]
    body = getattr(statement, "body", None)
    last = body[0].lineno - 1 if body else statement.end_lineno or statement.lineno
    functions = [one for one in holders if isinstance(one, ast.FunctionDef)]
    if isinstance(statement, ast.FunctionDef):  # a call of its body was dropped
        yield range(statement.lineno + 1, (statement.end_lineno or 0) + 1)
    elif functions:
        yield range(statement.lineno, max(last, statement.lineno) + 1)
        yield range(functions[-1].lineno + 1, (functions[-1].end_lineno or 0) + 1)


def _changes(node: ast.AST) -> Iterator[Callable[[ast.AST], None]]:
    match node:
        case ast.Compare() if type(node.ops[0]) in SWAPPED:
            yield _swap_comparison
        case ast.BinOp() | ast.BoolOp() if type(node.op) in SWAPPED:
            yield _swap_operator
        case ast.Constant(value=bool()):
            yield _flip
        case ast.Constant(value=int() | float()):
            yield _increase
        case ast.Name() if node.id in NAMES:
            yield _rename
        case ast.If() | ast.IfExp() | ast.While():
            yield _negate
        case ast.FunctionDef() if len(node.body) > 1:
            for place, statement in enumerate(node.body):
                if _is_call(statement):
                    yield _drop(place)


def _is_call(statement: ast.stmt) -> bool:
    """Whether a statement calls something for its effect; what is logged is no behaviour."""
    called = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
    return called and not ast.unparse(statement).startswith("log.")


def _swap_comparison(node: ast.AST) -> None:
    assert isinstance(node, ast.Compare)  # noqa: S101 - it was one when it was found
    node.ops[:1] = [SWAPPED[type(node.ops[0])]()]  # type: ignore[list-item]  # of the same kind


def _swap_operator(node: ast.AST) -> None:
    node.op = SWAPPED[type(node.op)]()  # type: ignore[attr-defined]  # it has one


def _flip(node: ast.AST) -> None:
    assert isinstance(node, ast.Constant)  # noqa: S101 - as above
    node.value = not node.value


def _increase(node: ast.AST) -> None:
    assert isinstance(node, ast.Constant)  # noqa: S101 - as above
    node.value = node.value + 1 if node.value else 1  # type: ignore[operator]  # a number


def _rename(node: ast.AST) -> None:
    assert isinstance(node, ast.Name)  # noqa: S101 - as above
    node.id = NAMES[node.id]


def _negate(node: ast.AST) -> None:
    assert isinstance(node, ast.If | ast.IfExp | ast.While)  # noqa: S101 - as above
    node.test = ast.UnaryOp(ast.Not(), node.test)


def _drop(place: int) -> Callable[[ast.AST], None]:
    def drop(node: ast.AST) -> None:
        assert isinstance(node, ast.FunctionDef)  # noqa: S101 - as above
        node.body[place] = ast.Pass()

    return drop


def choose(rooms: Sequence[str], count: int, chance: random.Random) -> list[Mutant]:
    """Choose mutants at random, as many in each room, the rooms in turn."""
    by_room = []
    for room in rooms:
        found = [
            place
            for file in sorted((ROOT / "esquirell" / room).rglob("*.py"))
            if "migrations" not in file.parts
            for place in places(file.relative_to(ROOT))
        ]
        by_room.append(chance.sample(found, min(count // len(rooms), len(found))))
    return [mutant(place) for turn in zip(*by_room, strict=False) for place in turn]


class Ran(NamedTuple):
    """What came of a run of tests."""

    code: int
    output: str


class Suite:
    """The tests: which run a line, and how long each takes; learnt by running them once."""

    def __init__(self, copy: Path) -> None:
        done = _pytest(
            copy,
            [
                "-n2",
                "--cov=esquirell",
                "--cov-context=test",
                "--cov-report=",
                "--junitxml=junit.xml",
            ],
            [f"tests/{room}" for room in TESTS],
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
        suite = Suite(Path(folder) / "0")

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
