"""Import a module only when it is first used, where another module imports it in any case."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType


class _Placeholder(ModuleType):
    """Stands for a module that nobody has used so far."""

    def __getattr__(self, name: str) -> object:
        # Whoever imports it meanwhile would find the placeholder instead of the module.
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        found: object = getattr(import_module(self.__name__), name)
        return found


@contextmanager
def lazy_import(name: str) -> Iterator[None]:
    """Defer `import name` inside the block until the module is used.

    Raises what importing it raises, then.
    """
    if name in sys.modules:
        yield
        return
    placeholder = sys.modules[name] = _Placeholder(name)
    try:
        yield
    finally:
        if sys.modules.get(name) is placeholder:
            del sys.modules[name]
