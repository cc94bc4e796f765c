import gc
import os
import subprocess
import sys
import weakref
from collections.abc import Iterator

import pytest

from esquirell.daemon.resources import settle


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


def test_objects_that_exist_are_left_to_no_collection() -> None:
    settle()
    assert gc.get_freeze_count() > 10_000


def test_later_garbage_is_collected_automatically() -> None:
    gc.set_threshold(50_000)
    settle()
    # Looking at the ring itself would hold it just when the collector looks, too.
    gone: list[object] = []
    watch = weakref.ref(Ring(), gone.append)
    others: list[list[int]] = []
    while not gone and len(others) < 40_000:
        others.append([len(others)])
    assert gone == [watch]


@pytest.mark.skipif(
    "CS_GNU_LIBC_VERSION" not in os.confstr_names, reason="only glibc has several heaps"
)
@pytest.mark.parametrize(("shared", "heaps"), [(True, 1), (False, 5)])
def test_threads_share_a_heap(*, shared: bool, heaps: int) -> None:
    """malloc_info(3) lists the heaps: without a word of ours there is one more for each thread."""
    program = f"""
import ctypes, threading
from esquirell.daemon.resources import share_heap
if {shared}:
    share_heap()
libc, end = ctypes.CDLL(None), threading.Barrier(5)
def allocate():
    libc.malloc(100_000)
    end.wait()
    end.wait()
threads = [threading.Thread(target=allocate) for _ in range(4)]
for thread in threads:
    thread.start()
end.wait()
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
end.wait()
"""
    run = subprocess.run(
        [sys.executable, "-c", program], check=True, timeout=60, stdout=subprocess.PIPE
    )
    assert run.stdout.count(b"<heap nr=") == heaps
