"""The life of a process: announced in Redis, ended in time, restarted with another password."""

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import NoReturn

from billiard import active_children
from celery.worker import state

from esquirell.daemon.roles import Role
from esquirell.daemon.signals import restart
from esquirell.domain.errors import ConfigError, UnavailableError
from esquirell.runtime.root import Runtime
from esquirell.runtime.self_report import ProcessRoles
from esquirell.runtime.shared import PasswordRefusedError
from esquirell.settings import Settings, load

Held = Callable[[], Mapping[str, float | None]]

log = logging.getLogger(__name__)

GOODBYE_S = 2.0
# With the messages that follow, within the ten seconds that systemd and docker usually allow, even
# on a busy machine.
END_WITHIN_S = 7.0
FORCED_EXIT_CODE = 0

# The exit code with which `esquirell` replaces itself by a new process.
RESTART_EXIT_CODE = 76
LOOK_EVERY_S = 5.0


def announcement(
    runtime: Runtime, names: Callable[[], Iterable[str]], held: Held = dict
) -> Callable[[], str]:
    """Return a function that announces this process, with the roles that `names` returns.

    `held` are the tasks that it holds. It returns a sentence when Redis is unreachable, so that
    nothing can be announced: this process itself is fine then.
    """

    def announce() -> str:
        try:
            runtime.shared.presence.announce(runtime.self_report.process(), names())
            runtime.shared.held.renew(socket.gethostname(), held())
        except PasswordRefusedError as error:
            RENEWAL.refused(_password(runtime.settings), lambda: _password(load()))
            return f"waiting for Redis: {error}"
        except UnavailableError as error:
            return f"waiting for Redis: {error}"
        return ""

    return announce


def _password(settings: Settings) -> str:
    return settings.redis.password.get_secret_value()


@contextmanager
def announcing(runtime: Runtime, role: str) -> Iterator[Callable[[], str]]:
    """Return a function that announces a role of this process; it is withdrawn at the end."""
    runtime.self_report.duties = ProcessRoles((role,))
    try:
        yield announcement(runtime, lambda: (role,))
    finally:
        withdraw(runtime, (role,))


def withdraw(runtime: Runtime, names: Iterable[str]) -> None:
    """Record that roles end; without Redis their presence expires by itself."""
    with suppress(UnavailableError):
        runtime.shared.presence.withdraw(*names)


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
    """Looks for another password when the current one is refused, and then ends the process.

    Celery, its results, RedBeat and our own client each have connections with the old one.
    """

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
        return RESTART_EXIT_CODE if self.is_due else otherwise


RENEWAL = Renewal()
