"""Figure 2: the memory of a service, by the number of its meters, and what the page adds."""

from pathlib import Path

from benchmarks.devices import devices
from benchmarks.programs import Servers, free_port, servers, wait_until
from benchmarks.report import Result
from benchmarks.run import Run
from benchmarks.service import service
from benchmarks.visitor import Visitor

READINGS = 1000
# MiB, by meters.
LIMITS = {10: 64.0, 100: 66.0, 1000: 90.0}
EVERY_S = {10: 1, 100: 1, 1000: 10}
PAGE_MIB = 6.0
PASSWORD = "only-for-the-benchmark"  # noqa: S105 - of a service that lives for minutes
PAGES = ("", "history", "meters", "add", "schedules", "log", "system")
LIMIT_S = 300.0


def measure(run: Run) -> Result:
    """Run a service with 10, 100 and, unless it has to be quick, 1,000 meters."""
    result, found = Result(), {}
    for count, limit_mib in LIMITS.items():
        if run.quick and count == max(LIMITS):
            continue
        with run.scratch() as folder, servers(folder) as there:
            found[count] = _memory(folder, there, count, page=False)
        what = f"memory of `esquirell run` without the page, {count:,} meters, 1,000 readings (PSS)"
        result.at_most(2, what, found[count], limit_mib, "MiB", f"{found[count]:.1f}")
        run.say(f"memory: {count} meters {found[count]:.1f} MiB")
    fewest = min(LIMITS)
    with run.scratch() as folder, servers(folder) as there:
        added = _memory(folder, there, fewest, page=True) - found[fewest]
    what = f"the page adds, after all of its pages were seen, {fewest} meters (PSS)"
    result.at_most(2, what, added, PAGE_MIB, "MiB", f"{added:.1f}")
    run.say(f"memory: the page adds {added:.1f} MiB")
    return result


def _memory(folder: Path, there: Servers, count: int, *, page: bool) -> float:
    port = free_port() if page else 0
    settings = (f"web.port = {port}", f'web.password = "{PASSWORD}"')
    with (
        devices(count) as meters,
        service(folder / "esquirell", there, meters, EVERY_S[count], settings=settings) as ours,
    ):
        wait_until(lambda: ours.readings() >= READINGS, LIMIT_S)
        if page:
            visitor = Visitor(port)
            visitor.log_in(PASSWORD)
            for path in PAGES:
                visitor.opened(path)
        return ours.tree.pss_mib()
