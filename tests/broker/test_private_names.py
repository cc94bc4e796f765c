"""Names of other libraries that are not part of their interface, and that we rely on.

A new release may drop or rename them without a word: then this fails, and not a user's service.
"""

import ast
import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import esquirell

ROOT = Path(esquirell.__file__).parent
LIBRARIES = ("kombu", "redbeat", "celery", "flower", "redis")
# It imports RedBeat's classes for the others.
HOME = "esquirell.beat.redbeat"


def modules() -> Iterator[ModuleType]:
    for room in ("beat", "broker", "daemon", "flower"):
        for file in sorted((ROOT / room).glob("*.py")):
            if _derives(ast.parse(file.read_text())):
                yield importlib.import_module(f"esquirell.{room}.{file.stem}")


def _derives(tree: ast.Module) -> bool:
    """Whether a module has a class that is derived from one of a library."""
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        and (node.module == HOME or (node.module or "").split(".")[0] in LIBRARIES)
        for alias in node.names
    }
    bases = [base for node in tree.body if isinstance(node, ast.ClassDef) for base in node.bases]
    return any(
        {name.id for name in ast.walk(base) if isinstance(name, ast.Name)} & imported
        for base in bases
    )


def subclasses() -> Iterator[tuple[type, type]]:
    """Return each class of ours with the class of a library that it changes."""
    for module in modules():
        for _, one in inspect.getmembers(module, inspect.isclass):
            if one.__module__ == module.__name__:
                for base in one.__mro__[1:]:
                    if base.__module__.partition(".")[0] in LIBRARIES:
                        yield one, base
                        break


def own_names(one: type) -> set[str]:
    """Return what our classes define or assign, down to the library's."""
    names: set[str] = set()
    for each in one.__mro__:
        if each.__module__.startswith("esquirell."):
            names |= set(vars(each)) | set(getattr(each, "__annotations__", {}))
            for node in ast.walk(_tree(each)):
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                    names.add(node.attr)
    return names


def used_names(one: type) -> set[str]:
    """Return what a class reads or calls of itself, or of its `super()`."""
    return {
        node.attr
        for node in ast.walk(_tree(one))
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Load)
        and (_is_self(node.value) or _is_super(node.value))
    }


def _tree(one: type) -> ast.AST:
    tree = ast.parse(inspect.getsource(sys.modules[one.__module__]))
    (found,) = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name == one.__name__
    )
    return found


def _is_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def _is_super(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"
    )


def sources(base: type) -> str:
    found = {each.__module__ for each in base.__mro__} - {"builtins"}
    return "\n".join(inspect.getsource(sys.modules[name]) for name in sorted(found))


PAIRS = [
    pytest.param(one, base, id=f"{one.__module__}.{one.__qualname__}") for one, base in subclasses()
]


@pytest.mark.parametrize(("one", "base"), PAIRS)
def test_private_names_of_libraries_that_we_use_exist(one: type, base: type) -> None:
    text = sources(base)
    borrowed = used_names(one) - own_names(one)
    missing = {name for name in borrowed if not hasattr(base, name) and f"self.{name}" not in text}
    assert not missing


@pytest.mark.parametrize(("one", "base"), PAIRS)
def test_overridden_methods_keep_their_signature(one: type, base: type) -> None:
    for name, ours in vars(one).items():
        theirs = getattr(base, name, None)
        if not inspect.isfunction(ours) or not inspect.isfunction(theirs) or name == "__init__":
            continue
        wanted = inspect.signature(ours).parameters
        given = inspect.signature(theirs).parameters
        needed = {
            parameter.name
            for parameter in wanted.values()
            if parameter.default is parameter.empty
            and parameter.kind not in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}
        }
        assert len(needed) <= len(given), name


def test_classes_are_found() -> None:
    assert len(PAIRS) > 12
