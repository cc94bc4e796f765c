"""The C library's heaps, as few as threads that take turns need."""

import ctypes

HEAPS = 2
# M_ARENA_MAX of malloc.h, glibc.
_ARENA_MAX = -8


def share_heaps() -> None:
    """Have threads that are started from now on share heaps; other C libraries have one anyway.

    glibc gives each thread a heap of its own, up to eight per core, so that they need not wait
    for each other. Here the interpreter lets one at a time work, and what is free in one heap is
    of no use to another: with hundreds of meters that is some megabytes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, HEAPS)
