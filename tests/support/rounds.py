"""The work of a part, counted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from esquirell.daemon.parts import RunOnce


class Rounds:
    """A part's work: counts what happens; `script` says what each round does."""

    def __init__(self, script: Callable[[int], None] = lambda _: None) -> None:
        self.script = script
        self.made = 0
        self.done = 0
        self.closed = 0

    @contextmanager
    def __call__(self) -> Iterator[RunOnce]:
        self.made += 1
        try:
            yield self.run_once
        finally:
            self.closed += 1

    def run_once(self) -> float:
        self.done += 1
        self.script(self.done)
        return 0.01
