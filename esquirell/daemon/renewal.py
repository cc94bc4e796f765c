"""A password of Redis that was changed: the process begins anew with it.

Celery, its results, RedBeat and our own client each have connections with the old one.
"""

import logging
import os
import signal
import time
from collections.abc import Callable

from esquirell.domain.errors import ConfigError

log = logging.getLogger(__name__)

# What `esquirell` exits with to be started anew in its own place.
EXIT_CODE = 76
LOOK_EVERY_S = 5.0


class Renewal:
    """Looks for another password when the one in use is refused, and then ends the process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._looked_at = float("-inf")
        self.is_due = False

    def refused(self, in_use: str, configured: Callable[[], str]) -> None:
        """Note that a password is refused; `configured` reads it again.

        It may raise ConfigError.
        """
        now = self._clock()
        if self.is_due or now - self._looked_at < LOOK_EVERY_S:
            return
        self._looked_at = now
        try:
            self.is_due = configured() != in_use
        except ConfigError as error:
            log.debug("the password of Redis can't be read again: %s", error)
        if self.is_due:
            log.warning("Redis refuses the password, which was changed: beginning anew with it")
            os.kill(os.getpid(), signal.SIGTERM)

    def code(self, otherwise: int) -> int:
        """Return the exit code of this process."""
        return EXIT_CODE if self.is_due else otherwise


RENEWAL = Renewal()
