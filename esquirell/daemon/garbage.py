"""Python's garbage collector, told what it need not look at."""

import ctypes
import gc
from contextlib import suppress

# About Python's own: the quick start's, which `__main__` sets, would let garbage gather.
NEW_OBJECTS = 1000


def settle() -> None:
    """Leave all that was loaded out of the collector's rounds: it stays until the end.

    What is garbage already goes before.

    Children that are forked later share its memory as long as nobody writes to it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)
    give_back()


def give_back() -> None:
    """Return memory that is free to the system: glibc keeps megabytes of what a peak needed.

    Elsewhere it does nothing (malloc_trim(3)).
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
