"""Announcing in Redis that this process is alive, in which roles, and how it is doing."""

import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress

from esquirell.daemon.restarting import RENEWAL
from esquirell.domain.errors import UnavailableError
from esquirell.runtime.root import Runtime
from esquirell.runtime.self_report import ProcessRoles
from esquirell.runtime.shared import PasswordRefusedError
from esquirell.settings import Settings, load

Held = Callable[[], Mapping[str, float | None]]


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
