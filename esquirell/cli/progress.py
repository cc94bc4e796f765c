"""Progress on stderr, for people; nothing is shown when it goes into a file."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import TaskID

AFTER_S = 2.0
EVERY_S = 1.0
_CLEAR_LINE = "\r\x1b[K"


@contextmanager
def working(what: str, after_s: float = AFTER_S, every_s: float = EVERY_S) -> Iterator[None]:
    """Show what is being done, and for how long, once it takes more than some seconds."""
    if not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    thread = threading.Thread(target=_show, args=(what, done, after_s, every_s), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _show(what: str, done: threading.Event, after_s: float, every_s: float) -> None:
    began, pause, shown = time.monotonic(), after_s, False
    while not done.wait(pause):
        pause, shown = every_s, True
        sys.stderr.write(f"{_CLEAR_LINE}{what} … {time.monotonic() - began:.0f} s")
        sys.stderr.flush()
    if shown:
        sys.stderr.write(_CLEAR_LINE)
        sys.stderr.flush()


class Progress:
    """One progress bar per piece of work, by its name."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - slow to load, and few commands need it
        from rich.progress import Progress as Bars  # noqa: PLC0415

        self._bars = Bars(console=Console(stderr=True), disable=not sys.stderr.isatty())
        self._tasks: dict[str, TaskID] = {}

    def show(self, name: str, done: int, whole: int) -> None:
        """Show how much of a piece of work is done."""
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=whole)
        self._bars.update(self._tasks[name], completed=done)

    def __enter__(self) -> Self:
        """Start showing."""
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the bars as they are."""
        self._bars.stop()
