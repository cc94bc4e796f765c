"""The parts that hold lines to meters and deal with what comes over them unasked."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from esquirell.daemon.parts import Part, Turn
from esquirell.runtime.root import Runtime


def listening(runtime: Runtime) -> tuple[Part, ...]:
    """Build the parts with which a process hears what its meters report."""
    runtime.devices.lines = runtime.lines

    def hurry_reports() -> None:
        runtime.reports.hurry()

    def storing() -> Turn:
        runtime.reports.on_kept = runtime.publisher.on_held = stored_reports.wake
        return runtime.reports.store_due

    stored_reports = _part("stored-reports", storing)
    return (
        _part("lines", lambda: runtime.lines.run_once),
        _part("reports", lambda: runtime.reports.run_once, hurry_reports),
        stored_reports,
        _part("inbox", lambda: runtime.inbox.run_once),
    )


def _part(name: str, turn_of: Callable[[], Turn], hurry: Callable[[], None] = lambda: None) -> Part:
    @contextmanager
    def make() -> Iterator[Turn]:
        yield turn_of()

    return Part(name, make, hurry)
