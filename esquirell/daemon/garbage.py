"""The memory of a process that runs for months: garbage collection, and returning free memory."""

import ctypes
import gc
from contextlib import suppress

# About Python's own: the quick start's, which `__main__` sets, would let garbage gather.
NEW_OBJECTS = 1000
# M_ARENA_MAX of glibc's malloc.h.
_ARENA_MAX = -8


def share_heap() -> None:
    """Let all threads started from now on use one heap.

    By default glibc gives each thread a heap of its own so that they need not wait for each other,
    and memory freed in one is of no use to the others. The interpreter runs one thread at a time,
    so separate heaps gain nothing here. On other C libraries this does nothing (mallopt(3)).
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def settle() -> None:
    """Exclude everything loaded so far from garbage collection: it stays until the end.

    Existing garbage is collected first. Forked children share its memory as long as nobody writes
    to it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)
    give_back()


def give_back() -> None:
    """Return free memory to the system: glibc keeps megabytes after a peak.

    Elsewhere it does nothing (malloc_trim(3)).
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
