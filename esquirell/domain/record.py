"""Our data classes: frozen for mypy, small and fast when it runs."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """Make a data class that is not to be changed.

    With `frozen=True` Python would see to that, too: creating one takes three times as long then,
    and the class itself 14 KB instead of 8. What compares and shows records is shared unless a
    class has its own: they are rarely compared, and it would be another 3 KB for each. Recognising
    a meter takes five thousand hashes, so each class has one.
    """
    hashes = vars(cls).get("__hash__") is None
    made = dataclass(slots=True, unsafe_hash=hashes, eq=False, repr=False)(cls)
    for name, method in _SHARED.items():
        if getattr(cls, name) is getattr(object, name):
            setattr(made, name, method)
    return made


@cache
def _comparable(cls: type[Any]) -> Callable[[object], tuple[object, ...]]:
    """Return a function that gets the values to compare; with the class it is always a tuple."""
    return attrgetter("__class__", *(one.name for one in fields(cls) if one.compare))


def _equals(self: Any, other: object) -> bool:  # noqa: ANN401 - any record
    values = _comparable(self.__class__)
    return values(self) == values(other) if type(self) is type(other) else NotImplemented


def _shown(self: Any) -> str:  # noqa: ANN401 - any record
    values = [f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.repr]
    return f"{type(self).__qualname__}({', '.join(values)})"


_SHARED = {"__eq__": _equals, "__repr__": _shown}
