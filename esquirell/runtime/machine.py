"""What the computer knows about the time: its uptime, and whether its clock is synchronized."""

import ctypes
import platform
import sys
import time
import uuid
from functools import cached_property
from pathlib import Path

# linux/timex.h: the status of an unsynchronized clock, and of one that counts in ns.
STA_UNSYNC = 0x0040
STA_NANO = 0x2000
# The number of adjtimex(2), by the machine name of uname(2).
_ADJTIMEX = {
    "x86_64": 159,
    "aarch64": 171,
    "riscv64": 171,
    "armv7l": 124,
    "armv6l": 124,
    "i686": 124,
    "ppc64le": 124,
    "s390x": 124,
}
# The time between two readings of the same clock.
_WITHIN_S = 5.0
_UPTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class _TimeVal(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_usec", ctypes.c_long))


class _Timex(ctypes.Structure):
    """`struct timex` of adjtimex(2); left empty it queries and changes nothing."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("time", _TimeVal),
        # tick, the figures of a pulse per second, and what was kept free.
        ("rest", ctypes.c_long * 32),
    )


class Machine:
    """Linux's own knowledge; other systems are trusted to keep their clock."""

    @cached_property
    def boot(self) -> str:
        """The id of this boot; without one, that of this process."""
        try:
            text = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        except OSError:
            return uuid.uuid4().hex
        return text.strip()

    def uptime_s(self) -> float:
        """Return the machine's uptime in seconds, including sleep."""
        return time.clock_gettime(_UPTIME)

    def is_synchronized(self) -> bool:
        """Whether the kernel reports its clock as synchronized, and it is the one we read."""
        found = kernel_clock()
        return found is None or (not found[1] & STA_UNSYNC and self.is_own_clock())

    def is_own_clock(self) -> bool:
        """Whether this process sees the kernel's clock, not one substituted by a library."""
        found = kernel_clock()
        return found is None or abs(time.time() - found[0]) <= _WITHIN_S

    def keeps_time(self) -> bool:
        """Whether there is a battery-backed clock, or a host that has one.

        A Raspberry Pi before the fifth has none: after a start it shows the time that was saved
        last.
        """
        if any(Path("/sys/class/rtc").glob("rtc*")):
            return True
        try:
            processors = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return True  # not Linux: the system is trusted
        return "hypervisor" in processors


def kernel_clock() -> tuple[float, int] | None:
    """Return the kernel's time (unix) and the status of its clock; None if unavailable."""
    if sys.platform != "linux":
        return None
    library, found = ctypes.CDLL(None), _Timex()
    if library.adjtimex(ctypes.byref(found)) < 0 and not _ask_directly(library, found):
        return None
    unit = 1e9 if found.status & STA_NANO else 1e6
    return found.time.tv_sec + found.time.tv_usec / unit, found.status


def _ask_directly(library: ctypes.CDLL, found: _Timex) -> bool:
    """Call adjtimex directly: C libraries use clock_adjtime(2), which sandboxes forbid."""
    number = _ADJTIMEX.get(platform.machine())
    return number is not None and library.syscall(number, ctypes.byref(found)) >= 0
