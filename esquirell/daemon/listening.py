"""The parts that hold connections to meters and handle what arrives on them unrequested."""

from esquirell.daemon.parts import RunOnce, ServicePart, repeating
from esquirell.runtime.root import Runtime


def listening(runtime: Runtime) -> tuple[ServicePart, ...]:
    """Return the parts with which a process receives what its meters report."""
    runtime.devices.lines = runtime.polling.lines

    def hurry_reports() -> None:
        runtime.polling.reports.hurry()

    def storing() -> RunOnce:
        runtime.polling.reports.on_kept = runtime.mqtt.publisher.on_held = stored_reports.wake
        return runtime.polling.reports.store_due

    stored_reports = repeating("stored-reports", storing)
    return (
        repeating("lines", lambda: runtime.polling.lines.run_once),
        repeating("reports", lambda: runtime.polling.reports.run_once, hurry_reports),
        stored_reports,
        repeating("inbox", lambda: runtime.polling.inbox.run_once),
    )
