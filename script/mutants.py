"""Change the code in small ways that do harm, and see whether a test notices.

`python script/mutants.py [--count N] [--seed S] [ROOM ...]`; a room is a package of esquirell
(domain, services, storage, mqtt, tuya, beat). Each mutant is one change at random in a copy of
the project; the tests of its room run until one fails. What survives is printed with the change:
either a test is missing, or the change does no harm.
"""

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Where the tests of a room are, the quick ones first.
ROOMS = {
    "domain": ("tests/domain", "tests/profiles", "tests/services", "tests/storage"),
    "services": ("tests/services", "tests/domain", "tests/storage", "tests/daemon"),
    "storage": ("tests/storage", "tests/services"),
    "mqtt": ("tests/mqtt", "tests/daemon"),
    "tuya": ("tests/tuya",),
    "beat": ("tests/beat", "tests/daemon"),
}
LIMIT_S = 900
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


@dataclass(frozen=True)
class Place:
    """Where a change can be made: a node of a file, by its number, and which change."""

    file: Path
    node: int
    change: int


@dataclass(frozen=True)
class Mutant:
    """One change: the new source of a file, and where and what was changed."""

    file: Path
    line: int
    change: str
    source: str


def places(file: Path) -> Iterator[Place]:
    """Return every place of a file where a change can be made."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for number, node in enumerate(ast.walk(tree)):
        for change, _ in enumerate(_changes(node)):
            yield Place(file, number, change)


def mutant(place: Place) -> Mutant:
    """Make the change at a place."""
    tree = ast.parse(place.file.read_text(encoding="utf-8"))
    node = list(ast.walk(tree))[place.node]
    change = list(_changes(node))[place.change]
    before = ast.unparse(node)
    change(node)
    line = getattr(node, "lineno", 0)
    return Mutant(place.file, line, f"{before}  ->  {ast.unparse(node)}", ast.unparse(tree))


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
                if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
                    yield _drop(place)


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


def choose(rooms: list[str], count: int, chance: random.Random) -> Iterator[tuple[str, Mutant]]:
    """Choose mutants at random, as many in each room."""
    for room in rooms:
        found = [
            place
            for file in sorted((ROOT / "esquirell" / room).rglob("*.py"))
            if "migrations" not in file.parts
            for place in places(file)
        ]
        for place in chance.sample(found, min(count // len(rooms), len(found))):
            yield room, mutant(place)


def check_unchanged(rooms: list[str], copy: Path) -> None:
    """Exit unless the tests pass without a change: else they would notice everything."""
    for room in rooms:
        if not survives(
            Mutant(file := ROOT / "esquirell/__init__.py", 0, "", file.read_text()), room, copy
        ):
            sys.exit(f"the tests of {room} fail without a change")


def survives(changed: Mutant, room: str, copy: Path) -> bool:
    """Whether all tests of the room pass with the change."""
    target = copy / changed.file.relative_to(ROOT)
    original = target.read_text(encoding="utf-8")
    target.write_text(changed.source, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n2", "-p", "no:cacheprovider"]
    try:
        done = subprocess.run(
            [*command, *ROOMS[room]],
            cwd=copy,
            env=os.environ | {"PYTHONPATH": str(copy)},
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    finally:
        target.write_text(original, encoding="utf-8")
    return done.returncode == 0


def main() -> None:
    """Try mutants and print those that no test noticed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("rooms", nargs="*", default=list(ROOMS), metavar="ROOM")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    chance = random.Random(wanted.seed)  # noqa: S311 - no secret
    survivors = tried = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        ignored = shutil.ignore_patterns(".git", ".venv", "*cache*", "dist", "site")
        shutil.copytree(ROOT, copy, ignore=ignored, symlinks=True)
        check_unchanged(wanted.rooms, copy)
        for room, changed in choose(wanted.rooms, wanted.count, chance):
            tried += 1
            if survives(changed, room, copy):
                survivors += 1
                place = f"{changed.file.relative_to(ROOT)}:{changed.line}"
                sys.stdout.write(f"{place}: {' '.join(changed.change.split())[:200]}\n")
                sys.stdout.flush()
    sys.stdout.write(f"{tried - survivors} of {tried} were noticed\n")


if __name__ == "__main__":
    main()
