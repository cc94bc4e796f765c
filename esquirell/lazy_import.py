"""Import a module only when it is first used, or not at all, where another one imports it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import PathFinder
from types import ModuleType


class _Placeholder(ModuleType):
    """Stands in for a module that has not been used yet."""

    def __getattr__(self, name: str) -> object:
        # A module that imports it meanwhile would get the placeholder instead.
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        found: object = getattr(import_module(self.__name__), name)
        return found


@contextmanager
def lazy_import(name: str) -> Iterator[None]:
    """Defer `import name` inside the block until the module is used.

    The modules inside a package can be imported meanwhile, without it. Raises what importing it
    raises, then.
    """
    if name in sys.modules:
        yield
        return
    placeholder = sys.modules[name] = _Placeholder(name)
    if folders := _folders(name):
        placeholder.__path__ = folders
    try:
        yield
    finally:
        if sys.modules.get(name) is placeholder:
            del sys.modules[name]
            _put_into_package(placeholder)


@contextmanager
def missing(name: str) -> Iterator[None]:
    """Let `import name` fail inside the block as if it were not installed, unless it is loaded."""
    if name in sys.modules:
        yield
        return
    # Importing a module that is None fails.
    sys.modules[name] = None  # type: ignore[assignment]  # no module is meant
    try:
        yield
    finally:
        del sys.modules[name]


def _put_into_package(placeholder: ModuleType) -> None:
    """Let `import package.module` find it where it looks: among the names of the package."""
    package, _, module = placeholder.__name__.rpartition(".")
    if package in sys.modules:
        setattr(sys.modules[package], module, placeholder)


def _folders(name: str) -> list[str]:
    """Return where the modules of a package are; nothing is imported to find them."""
    where: list[str] | None = None
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        spec = PathFinder.find_spec(".".join(parts[:count]), where)
        where = list(spec.submodule_search_locations or ()) if spec else []
    return where or []
