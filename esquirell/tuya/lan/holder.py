"""The holder of a file's lock, as the kernel tells it."""

import os
from contextlib import suppress
from pathlib import Path

LOCKS = Path("/proc/locks")


def is_stopped(file: int) -> bool:
    """Whether the process that holds the lock (flock) of an open file was stopped, as by SIGSTOP.

    Of a process in another container nothing is known: it counts as running.
    """
    inode = str(os.fstat(file).st_ino)
    with suppress(OSError, IndexError):
        for line in LOCKS.read_text().splitlines():
            # "1: FLOCK ADVISORY WRITE 708 fe:00:2632085 0 EOF": proc_locks(5). By the inode alone,
            # as some file systems have another device number there.
            fields = line.split()
            if fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == inode:
                return _state(fields[4]) == "T"
    return False


def _state(process: str) -> str:
    """Return the state of a process, a letter. Raises OSError."""
    stat = Path("/proc", process, "stat").read_text()
    # After its name, which may have blanks and parentheses.
    return stat.rpartition(")")[2].split()[0]
