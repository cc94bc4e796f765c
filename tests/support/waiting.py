"""Waiting for a condition, with a deadline, instead of sleeping and hoping."""

import time
from collections.abc import Callable
from typing import TypeVar

# Generous, as a busy machine is slow; no test waits longer than the condition takes.
LIMIT_S = 60.0

T = TypeVar("T")


def eventually(
    look: Callable[[], T], within: float = LIMIT_S, what: str | Callable[[], str] = ""
) -> T:
    """Wait until `look` returns something; `what` is said, or asked, when it never does."""
    deadline = time.monotonic() + within
    while not (found := look()):
        if time.monotonic() > deadline:
            told = what() if callable(what) else what
            raise AssertionError(f"not within {within} s: {told or look}")
        time.sleep(0.02)
    return found
