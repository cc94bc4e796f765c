"""Figure 2, second half: how memory grows over many readings."""

import time

from benchmarks.devices import devices
from benchmarks.programs import servers, wait_until
from benchmarks.report import Result
from benchmarks.run import Run
from benchmarks.service import Service, service

METERS = 500
READINGS = 100_000
QUICK_METERS, QUICK_READINGS = 50, 500
WARM_ROUNDS = 20
LIMIT_MIB = 1.0
LIMIT_S = 240.0
LOOK_S = 5.0


def measure(run: Run) -> Result:
    """Measure the memory when all has been in use for a while, and many readings later."""
    meters, wanted = (QUICK_METERS, QUICK_READINGS) if run.quick else (METERS, READINGS)
    warm = meters * (5 if run.quick else WARM_ROUNDS)
    with (
        run.scratch() as folder,
        servers(folder) as there,
        devices(meters) as polled,
        service(folder / "esquirell", there, polled, 1) as ours,
    ):
        wait_until(lambda: ours.readings() >= warm, LIMIT_S)
        before, counted = ours.tree.pss_mib(), ours.readings()
        run.say(f"growth: {before:.1f} MiB after {counted:,} readings")
        read = _wait(run, ours, counted, wanted)
        after = ours.tree.pss_mib()
    result = Result()
    what = f"growth of memory over {read:,} readings ({meters} meters, after {counted:,})"
    spread = f"{after - before:.2f} ({before:.1f} → {after:.1f})"
    result.at_most(2, what, after - before, LIMIT_MIB, "MiB", spread)
    return result


def _wait(run: Run, ours: Service, counted: int, wanted: int) -> int:
    """Let it read; a slow machine is not waited for without end."""
    deadline = time.monotonic() + LIMIT_S
    while (read := ours.readings() - counted) < wanted and time.monotonic() < deadline:
        time.sleep(LOOK_S)
    run.say(f"growth: {read:,} readings later")
    return read
