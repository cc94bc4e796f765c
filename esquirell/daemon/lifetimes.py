"""Processes that must not outlast this one, however it ends: on Linux the kernel ensures it.

prctl(2), PR_SET_PDEATHSIG: a process is sent a signal when the thread that started it ends.
"""

import ctypes
import os
import signal
import sys

_SET_PARENT_DEATH_SIGNAL = 1

# In a small process before the program: running Python between fork and exec beside threads is not
# safe. A parent that has died already sends no signal any more.
_LAUNCH = f"""
import ctypes, os, sys
ctypes.CDLL(None).prctl({_SET_PARENT_DEATH_SIGNAL}, {signal.SIGKILL.value})
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


def end_with_parent() -> None:
    """Have this process killed when its parent ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL.value)


def bound(command: list[str]) -> list[str]:
    """Return the command that starts a program which is killed when this process ends."""
    if sys.platform != "linux":
        return command
    return [sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid()), *command]
