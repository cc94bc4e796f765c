"""Small changes of a program that do harm: where one can be made, and the source with it made."""

import ast
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
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
