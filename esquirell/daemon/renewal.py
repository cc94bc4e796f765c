"""A changed Redis password: the process restarts itself with it.

Celery, its results, RedBeat and our own client each have connections with the old one.
"""

import logging
import os
import signal
import time
from collections.abc import Callable

from esquirell.domain.errors import ConfigError

log = logging.getLogger(__name__)

# The exit code with which `esquirell` replaces itself by a new process.
EXIT_CODE = 76
LOOK_EVERY_S = 5.0


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
            os.kill(os.getpid(), signal.SIGTERM)

    def code(self, otherwise: int) -> int:
        """Return the exit code of this process."""
        return EXIT_CODE if self.is_due else otherwise


RENEWAL = Renewal()
