"""The end of a process: announced, and within seconds."""

import logging
import os
import signal
import threading
from collections.abc import Callable

from billiard import active_children
from celery.worker import state

from esquirell.daemon.announcing import withdraw
from esquirell.daemon.restarting import start_anew
from esquirell.daemon.roles import Role
from esquirell.runtime.root import Runtime

log = logging.getLogger(__name__)

GOODBYE_S = 2.0
# With the messages that follow, within the ten seconds that systemd and docker usually allow, even
# on a busy machine.
END_WITHIN_S = 7.0
FORCED_EXIT_CODE = 0


def end_in_time(farewell: Callable[[], None], within_s: float = END_WITHIN_S) -> None:
    """End the process after a few seconds, whatever hangs: a user's task, a frozen Redis."""

    def end() -> None:
        farewell()
        os._exit(FORCED_EXIT_CODE)

    timer = threading.Timer(within_s, end)
    timer.daemon = True
    timer.start()


def last_words(runtime: Runtime, role: Role) -> None:
    """Store and publish what is left, briefly, and leave no process behind: this one ends now."""
    tasks = sorted(f"{task.name} ({task.id})" for task in state.active_requests)
    log.warning("ended without waiting any longer for %s", ", ".join(tasks) or "what hangs")
    for child in active_children():
        if child.pid is not None:
            os.kill(child.pid, signal.SIGKILL)
    runtime.polling.finish_readings()
    if _publishes(runtime, role):
        runtime.mqtt.connection.stop(1.0)
    role.at_exit()
    if runtime.control.restarting:
        start_anew()


def leave(runtime: Runtime, role: Role) -> None:
    """Shut down cleanly: the last readings are sent before the connection ends."""
    if _publishes(runtime, role):
        runtime.mqtt.connection.stop(GOODBYE_S)
    withdraw(runtime, role.names)
    log.info("ended")


def _publishes(runtime: Runtime, role: Role) -> bool:
    return "beat" not in role.names or runtime.mqtt.bridges
