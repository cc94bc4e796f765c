"""Progress on stderr, for people who watch; nothing is shown when it goes into a file."""

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import TaskID


class Progress:
    """A bar per piece of work, by its name."""

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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave what was shown."""
        self._bars.stop()
