"""Locks (flock) and connections that are one process's alone: a child closes its copies of them.

The kernel ends them with their last copy. A child that a user's task forks, as multiprocessing
does, would keep them when the service is killed: the next one could not start, its page could not
listen, meters would take it for a second client, and the broker would not notice that it is gone.
"""

import os
import socket
from contextlib import suppress
from weakref import WeakSet

_locks: set[int] = set()
_lines: WeakSet[socket.socket] = WeakSet()


def hold(lock: int) -> None:
    """Close this file in each child."""
    _locks.add(lock)


def close(lock: int) -> None:
    """Close a file that is held, and so release its lock; in a child it is closed already."""
    if lock in _locks:
        _locks.remove(lock)
        os.close(lock)


def holds(lock: int) -> bool:
    """Whether this process still has a file that was held; in a child its number is another's."""
    return lock in _locks


def keep(line: socket.socket) -> None:
    """Close this socket in each child; in this process it is closed as any other."""
    _lines.add(line)


def _close_copies() -> None:
    while _locks:
        with suppress(OSError):
            os.close(_locks.pop())
    for line in list(_lines):
        with suppress(OSError):
            line.close()


os.register_at_fork(after_in_child=_close_copies)
