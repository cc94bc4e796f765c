"""A restart of this process: on request, and when the password of Redis has changed.

Celery, its results, RedBeat and our own client each have connections with the old password.
"""

import logging
import os
import sys
import time
from collections.abc import Callable
from typing import NoReturn

from esquirell.daemon.signals import restart
from esquirell.domain.errors import ConfigError
from esquirell.runtime.root import Runtime

log = logging.getLogger(__name__)

# The exit code with which `esquirell` replaces itself by a new process.
EXIT_CODE = 76
LOOK_EVERY_S = 5.0


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


class Renewal:
    """Looks for another password when the current one is refused, and then ends the process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._looked_at = float("-inf")
        self.is_due = False

    def refused(self, in_use: str, configured: Callable[[], str]) -> None:
        """Record that a password is refused; `configured` reads it again, or raises ConfigError."""
        now = self._clock()
        if self.is_due or now - self._looked_at < LOOK_EVERY_S:
            return
        self._looked_at = now
        try:
            self.is_due = configured() != in_use
        except ConfigError as error:
            log.debug("the password of Redis can't be read again: %s", error)
        if self.is_due:
            log.warning(
                "Redis refuses the password, which was changed: restarting with the new one"
            )
            restart()

    def code(self, otherwise: int) -> int:
        """Return the exit code of this process."""
        return EXIT_CODE if self.is_due else otherwise


RENEWAL = Renewal()
