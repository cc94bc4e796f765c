"""A restart on request: the process is replaced by a new one of the same program."""

import os
import sys
from typing import NoReturn

from esquirell.runtime.root import Runtime


def start_anew() -> NoReturn:
    """Replace this process; its id stays, so that its supervisor does not notice."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - ourselves


def ended(runtime: Runtime, code: int) -> int:
    """Restart if that was requested, once everything has ended; else return the exit code."""
    if runtime.control.restarting:
        start_anew()
    return code
