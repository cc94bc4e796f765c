"""Saying in Redis that the roles of this process live."""

import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress

from esquirell.domain.errors import UnavailableError
from esquirell.domain.reading import iso
from esquirell.runtime.root import Runtime

Held = Callable[[], Mapping[str, float | None]]


def announcement(
    runtime: Runtime, names: Callable[[], Iterable[str]], held: Held = dict
) -> Callable[[], str]:
    """Build what announces the roles that `names` returns at each call, and the tasks `held` here.

    It returns a sentence when Redis is unreachable, so that nobody can be told: then nothing is
    wrong here.
    """
    since = iso(runtime.started_at)

    def announce() -> str:
        try:
            for name in names():
                runtime.shared.presence.announce(name, since)
            runtime.shared.held.renew(socket.gethostname(), held())
        except UnavailableError as error:
            return f"waiting for Redis: {error}"
        return ""

    return announce


@contextmanager
def announcing(runtime: Runtime, role: str) -> Iterator[Callable[[], str]]:
    """Return what announces a role of this process; it is withdrawn at the end."""
    try:
        yield announcement(runtime, lambda: (role,))
    finally:
        withdraw(runtime, (role,))


def withdraw(runtime: Runtime, names: Iterable[str]) -> None:
    """Say that roles end; without Redis their presence runs out by itself."""
    with suppress(UnavailableError):
        runtime.shared.presence.withdraw(*names)
