"""Let a module load when it is first used, where another one imports it in any case."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType


class _Later(ModuleType):
    """Stands for a module that nobody has used so far."""

    def __getattr__(self, name: str) -> object:
        # Whoever imports it meanwhile would find this one instead of the module itself.
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        found: object = getattr(import_module(self.__name__), name)
        return found


@contextmanager
def later(name: str) -> Iterator[None]:
    """Let those who `import` the module here get it when they use it.

    Raises what importing it raises, then.
    """
    if name in sys.modules:
        yield
        return
    stand_in = sys.modules[name] = _Later(name)
    try:
        yield
    finally:
        if sys.modules.get(name) is stand_in:
            del sys.modules[name]
