"""The parts that hold connections to meters and handle what arrives on them unrequested."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from esquirell.daemon.parts import RunOnce, ServicePart
from esquirell.runtime.root import Runtime


def listening(runtime: Runtime) -> tuple[ServicePart, ...]:
    """Return the parts with which a process receives what its meters report."""
    runtime.devices.lines = runtime.polling.lines

    def hurry_reports() -> None:
        runtime.polling.reports.hurry()

    def storing() -> RunOnce:
        runtime.polling.reports.on_kept = runtime.mqtt.publisher.on_held = stored_reports.wake
        return runtime.polling.reports.store_due

    stored_reports = _part("stored-reports", storing)
    return (
        _part("lines", lambda: runtime.polling.lines.run_once),
        _part("reports", lambda: runtime.polling.reports.run_once, hurry_reports),
        stored_reports,
        _part("inbox", lambda: runtime.polling.inbox.run_once),
    )


def _part(
    name: str, run_once_of: Callable[[], RunOnce], hurry: Callable[[], None] = lambda: None
) -> ServicePart:
    @contextmanager
    def make() -> Iterator[RunOnce]:
        yield run_once_of()

    return ServicePart(name, make, hurry)
