"""The system's limits for a process, checked at the start; and its memory over months."""

import ctypes
import gc
import logging
import resource
import threading
from contextlib import suppress

from esquirell.domain.errors import ConfigError

log = logging.getLogger(__name__)

# A meter with an open connection takes two; systemd and shells start with 1024.
ENOUGH_FILES = 8192
FILES_OF_A_METER = 2
# Redis, the broker, the database and what Python itself opens; without meters.
LEAST_FILES = 64
# Every thread reserves eight, and every library its own size: 1.3 GiB with one meter.
MIB = 1024 * 1024
LEAST_SPACE = 1536 * MIB
LEAST_THREADS = 32

# About Python's own: the quick start's, which `__main__` sets, would let garbage gather.
NEW_OBJECTS = 1000
# M_ARENA_MAX of glibc's malloc.h.
_ARENA_MAX = -8


def check_limits(meters: int) -> None:
    """Raise the limit of open files as far as allowed, and reject limits that are too low.

    Raises ConfigError that names the limit and what raises it.
    """
    _check_space()
    _check_files(meters)
    _check_threads()


def _check_space() -> None:
    space, _ = resource.getrlimit(resource.RLIMIT_AS)
    if space != resource.RLIM_INFINITY and space < LEAST_SPACE:
        raise ConfigError(
            f"this process may use {space // MIB} MiB of address space and needs "
            f"{LEAST_SPACE // MIB}: raise the limit (ulimit -v, LimitAS= in systemd); to limit "
            "memory, use MemoryMax= or a container"
        )


def _check_files(meters: int) -> None:
    allowed, needed = _allow_files(), LEAST_FILES + FILES_OF_A_METER * meters
    remedy = "raise the limit (ulimit -n, LimitNOFILE= in systemd)"
    if allowed < LEAST_FILES:
        raise ConfigError(
            f"this process may open {allowed} files and needs {LEAST_FILES} at least: {remedy}"
        )
    if allowed < needed:
        log.error(
            "this process may open %d files, and %d meters need %d: some will not be read; %s",
            allowed,
            meters,
            needed,
            remedy,
        )


def _allow_files() -> float:
    """Let this process open as many files as allowed, up to a useful number; return how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(ENOUGH_FILES, hard)
    if soft == resource.RLIM_INFINITY:
        return float("inf")
    if soft >= wanted:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError) as error:
        log.debug("no more than %d files can be open: %s", soft, error)
        return soft
    return wanted


def _check_threads() -> None:
    """Start as many threads as a service has: whatever limits them shows up here."""
    end, started = threading.Event(), []
    try:
        for _ in range(LEAST_THREADS):
            thread = threading.Thread(target=end.wait, daemon=True)
            thread.start()
            started.append(thread)
    except RuntimeError:
        raise ConfigError(
            f"this process may start {len(started)} threads and needs {LEAST_THREADS}: raise the "
            "limit (ulimit -u, TasksMax= in systemd, --pids-limit of a container)"
        ) from None
    finally:
        end.set()
        for thread in started:
            thread.join()


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
