"""The end of a process: said to all who should know, and within seconds."""

import logging
import os
import threading
from collections.abc import Callable

from esquirell.daemon.announcing import withdraw
from esquirell.daemon.roles import Role
from esquirell.runtime.root import Runtime

log = logging.getLogger(__name__)

GOODBYE_S = 2.0
# With the last words that follow, within the ten seconds that systemd and docker usually grant,
# on a busy machine, too.
END_WITHIN_S = 7.0
FORCED_EXIT_CODE = 0


def end_in_time(farewell: Callable[[], None]) -> None:
    """End the process after a few seconds, whatever hangs: a user's task, a frozen Redis."""

    def end() -> None:
        log.error("something does not end: the process ends without it")
        farewell()
        os._exit(FORCED_EXIT_CODE)

    timer = threading.Timer(END_WITHIN_S, end)
    timer.daemon = True
    timer.start()


def last_words(runtime: Runtime) -> None:
    """Store and say what is left, briefly: the process ends in any case."""
    runtime.poller.close()
    if runtime.bridges:
        runtime.connection.stop(1.0)


def leave(runtime: Runtime, role: Role) -> None:
    """Say goodbye: the last readings go out before the connection ends."""
    if "beat" not in role.names or runtime.bridges:
        runtime.connection.stop(GOODBYE_S)
    withdraw(runtime, role.names)
    log.info("ended")
