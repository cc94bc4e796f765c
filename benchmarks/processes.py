"""What processes use, as the kernel counts it: CPU time, memory, bytes written (Linux)."""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
MIB = 1024 * 1024
KIB = 1024
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# CPUCLOCK_SCHED of include/linux/posix-timers.h: nanoseconds of all threads, also of ended ones,
# where /proc/PID/stat counts hundredths of a second.
_CPU_CLOCK = 2


class Tree:
    """Processes and all their descendants that live."""

    def __init__(self, *roots: int) -> None:
        self._roots = roots

    def pids(self) -> list[int]:
        """Return the processes that live now."""
        found, waiting = [], list(self._roots)
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            waiting += _children(pid)
        return found

    def cpu_s(self) -> float:
        """Return the CPU seconds used so far, user and system, also by children that ended."""
        return sum(_cpu_s(pid) for pid in self.pids())

    def pss_mib(self) -> float:
        """Return the memory: pages shared with other processes count in proportion."""
        return sum(_kib(pid, "Pss") for pid in self.pids()) * KIB / MIB

    def rss_mib(self) -> float:
        """Return the memory with all pages that are shared with others."""
        return sum(_kib(pid, "Rss") for pid in self.pids()) * KIB / MIB

    def written_bytes(self) -> int:
        """Return the bytes that were sent towards the disk."""
        return sum(_io(pid, "write_bytes") for pid in self.pids())


def _children(pid: int) -> Iterable[int]:
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in (PROC / str(pid) / "task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):
                yield from map(int, (task / "children").read_text().split())


def _cpu_s(pid: int) -> float:
    with suppress(OSError):
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        # proc_pid_stat(5): fields 16 and 17, counted from 1, of which two are cut off.
        ended = (int(fields[13]) + int(fields[14])) / _TICKS_PER_S
        return time.clock_gettime(~pid << 3 | _CPU_CLOCK) + ended
    return 0.0


def _kib(pid: int, key: str) -> int:
    return _number(PROC / str(pid) / "smaps_rollup", key)


def _io(pid: int, key: str) -> int:
    return _number(PROC / str(pid) / "io", key)


def _number(file: Path, key: str) -> int:
    with suppress(FileNotFoundError, ProcessLookupError):
        for line in file.read_text().splitlines():
            name, _, rest = line.partition(":")
            if name == key:
                return int(rest.split()[0])
    return 0
