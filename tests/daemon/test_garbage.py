import gc
import weakref
from collections.abc import Iterator

import pytest

from esquirell.daemon.garbage import settle


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


class Ring:
    """Refers to itself, so that only the collector frees it."""

    def __init__(self) -> None:
        self.itself = self


def test_what_is_there_is_left_alone() -> None:
    settle()
    assert gc.get_freeze_count() > 10_000


def test_garbage_that_comes_later_is_found_without_being_asked_for() -> None:
    gc.set_threshold(50_000)
    settle()
    # Looking at the ring itself would hold it just when the collector looks, too.
    gone: list[object] = []
    watch = weakref.ref(Ring(), gone.append)
    others: list[list[int]] = []
    while not gone and len(others) < 40_000:
        others.append([len(others)])
    assert gone == [watch]
