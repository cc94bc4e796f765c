"""Data classes of which many are made with each reading: frozen for mypy, fast when it runs."""

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def record(cls: type[T]) -> type[T]:
    """Make a data class that is not to be changed.

    `frozen=True` would have Python see to that, too: to make one takes three times as long then.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)
