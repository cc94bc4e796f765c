"""The holder of a file's lock, as the kernel reports it."""

import os
from contextlib import suppress
from pathlib import Path

LOCKS = Path("/proc/locks")


def is_stopped(file: int) -> bool:
    """Whether the process that holds the lock (flock) of an open file was stopped, as by SIGSTOP.

    Of a process in another container nothing is known: it counts as running.
    """
    with suppress(OSError, IndexError):
        states = [_state(process) for process in _holders(os.fstat(file))]
        return set(states) == {"T"}
    return False


def _holders(file: os.stat_result) -> list[str]:
    """Return the processes that may hold the lock of a file. Raises OSError."""
    # "1: FLOCK ADVISORY WRITE 708 fe:00:2632085 0 EOF": proc_locks(5).
    locks = [line.split() for line in LOCKS.read_text().splitlines()]
    inode = f":{file.st_ino}"
    device = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}"
    alike = [lock for lock in locks if lock[1] == "FLOCK" and lock[5].endswith(inode)]
    # Some file systems have another device number there: then the inode alone has to do.
    exact = [lock for lock in alike if lock[5] == device + inode]
    return [lock[4] for lock in exact or alike]


def _state(process: str) -> str:
    """Return the state of a process, a letter. Raises OSError."""
    stat = Path("/proc", process, "stat").read_text()
    # After its name, which may have blanks and parentheses.
    return stat.rpartition(")")[2].split()[0]
