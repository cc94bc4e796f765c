"""Saying in Redis that the roles of this process live."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from esquirell.domain.errors import UnavailableError
from esquirell.domain.reading import iso
from esquirell.runtime.root import Runtime


def announcement(runtime: Runtime, names: Callable[[], Iterable[str]]) -> Callable[[], str]:
    """Build what announces the roles that `names` gives at each call.

    It gives a sentence when nobody can be told, as Redis is away: then nothing is wrong here.
    """
    since = iso(runtime.started_at)

    def announce() -> str:
        try:
            for name in names():
                runtime.shared.presence.announce(name, since)
        except UnavailableError as error:
            return f"waiting for Redis: {error}"
        return ""

    return announce


@contextmanager
def announcing(runtime: Runtime, role: str) -> Iterator[Callable[[], str]]:
    """Give what announces a role of this process; it is withdrawn at the end."""
    try:
        yield announcement(runtime, lambda: (role,))
    finally:
        withdraw(runtime, (role,))


def withdraw(runtime: Runtime, names: Iterable[str]) -> None:
    """Say that roles end; without Redis their presence runs out by itself."""
    with suppress(UnavailableError):
        runtime.shared.presence.withdraw(*names)
