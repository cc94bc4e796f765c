"""Figures 3, 5 and 8: hours of a quiet house, as ten minutes: CPU, punctuality, bytes written."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.devices import devices
from benchmarks.processes import KIB, Tree
from benchmarks.programs import Servers, servers, wait_until
from benchmarks.report import Result
from benchmarks.run import Run
from benchmarks.samples import Sample
from benchmarks.service import Service, service

MINUTES = 10
QUICK_MINUTES = 0.5
SETTLE_S, QUICK_SETTLE_S = 20.0, 5.0
START_S = 180.0
# Moments are kept as milliseconds since 1970.
MILLISECONDS = 1000
REST_PERCENT, LATE_MS, WRITTEN_KIB = 0.25, 50.0, 16.0


@dataclass(frozen=True, slots=True)
class House:
    """A service with one meter, and what it and its Redis had used when it was looked at."""

    ours: Service
    there: Servers

    def used(self) -> tuple[float, int, int]:
        """Return CPU seconds without Redis, bytes written with Redis, and readings."""
        written = self.ours.tree.written_bytes() + Tree(self.there.redis.pid).written_bytes()
        return self.ours.tree.cpu_s(), written, self.ours.readings()


def measure(run: Run) -> Result:
    """Watch three services at the same time: a quiet one, an idle one, a busy one."""
    seconds = int(60 * (QUICK_MINUTES if run.quick else MINUTES))
    with run.scratch() as folder, ExitStack() as stack:
        quiet, idle, busy = (_house(stack, folder, every_s) for every_s in (60, 0, 1))
        # What a held meter says at first is stored at the end of its minute: it does not belong to
        # a service at rest.
        for house in (quiet, idle, busy):
            wait_until(lambda house=house: house.ours.readings() > 0, START_S)  # type: ignore[misc]  # bound at once
        time.sleep(QUICK_SETTLE_S if run.quick else SETTLE_S)
        run.say(f"steady: watching three services for {seconds} s")
        before, began = [house.used() for house in (quiet, idle)], time.time()
        time.sleep(seconds)
        after, late = [house.used() for house in (quiet, idle)], _lateness(busy.ours, began)
    changes = [
        (cpu_s - old_cpu_s, written - old_written, readings - old_readings)
        for (old_cpu_s, old_written, old_readings), (cpu_s, written, readings) in zip(
            before, after, strict=True
        )
    ]
    return _result(seconds, changes, late)


def _house(stack: ExitStack, folder: Path, every_s: int) -> House:
    place = folder / str(every_s)
    there = stack.enter_context(servers(place))
    meters = stack.enter_context(devices(1))
    return House(stack.enter_context(service(place / "esquirell", there, meters, every_s)), there)


def _lateness(ours: Service, began_s: float) -> list[float]:
    """Return the milliseconds past its second of each reading since a moment."""
    since = int(began_s + 1) * MILLISECONDS
    query = f"SELECT measured_at FROM reading WHERE measured_at >= {since} ORDER BY 1"  # noqa: S608 - a number
    return [float(at % MILLISECONDS) for (at,) in ours.rows(query)]


def _result(
    seconds: int, changes: Sequence[tuple[float, int, int]], late: Sequence[float]
) -> Result:
    (quiet_s, quiet_bytes, readings), (idle_s, idle_bytes, _) = changes
    result = Result()
    rest = quiet_s / seconds * 100
    what = f"CPU at rest, one meter every 60 s, over {seconds / 60:g} min"
    result.at_most(3, what, rest, REST_PERCENT, "% of one core")
    _judge_punctuality(result, seconds, late)
    _judge_written(result, quiet_bytes, readings)
    result.judge(
        8,
        f"bytes written without any schedule, {seconds / 60:g} min",
        "nothing",
        f"{idle_bytes / KIB:.0f} KiB (CPU {idle_s / seconds * 100:.2f} %)",
        met=idle_bytes == 0,
    )
    return result


def _judge_written(result: Result, written: int, readings: int) -> None:
    what = f"bytes written per reading with Redis, one meter every 60 s, {readings} readings"
    if readings:
        result.at_most(8, what, written / KIB / readings, WRITTEN_KIB, "KiB")
    else:
        result.unmeasured(8, what, "it takes minutes")


def _judge_punctuality(result: Result, seconds: int, late: Sequence[float]) -> None:
    # The seconds in which watching began and ended may be cut off.
    missed = max(0, seconds - 1 - len(late))
    what = f"1 s schedule for {seconds / 60:g} min"
    result.judge(5, f"{what}: runs missed", "none", str(missed), met=missed == 0)
    last = late[-1] if late else 1000.0
    shown = f"{last:.0f} (all: {Sample(late).text(0)})" if late else "none"
    result.at_most(5, f"{what}: last run after its place on the grid", last, LATE_MS, "ms", shown)
