"""Figures 8' and 13: what meters report by themselves, until its message and on the disk."""

import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.commands import readings_heard
from benchmarks.devices import Device, devices
from benchmarks.processes import Tree
from benchmarks.programs import servers, wait_until
from benchmarks.report import Result
from benchmarks.run import Run
from benchmarks.samples import Sample
from benchmarks.service import service

# Each size reports so often that ten reports a second come from the largest.
SIZES, EVERY_S = (1, 10, 100), 10.0
MEDIAN_MS, TAIL_MS, CPU_MS = 50.0, 150.0, 0.6
WATCHED_S, QUICK_WATCHED_S = 60.0, 20.0
CHATTY = 10
# Statistics are computed each quarter of an hour: one of these steps belongs to a fair share.
WRITTEN_S, QUICK_WRITTEN_S = 900.0, 120.0
SETTLE_S = 60.0
WRITTEN_MB, DATABASE_MB = 80.0, 80.0
DAY_S, KEPT_DAYS, ROW_BYTES = 86_400, 90, 300
# Longer than a report may take, and shorter than the time to the meter's next one.
LOST_S = 5.0
START_S = 90.0
POLLED_S = 60


class Messages:
    """The moments of the messages with readings at a subscriber, by meter."""

    def __init__(self) -> None:
        self.at: defaultdict[str, list[float]] = defaultdict(list)

    def note(self, meter: str) -> None:
        """Note a message that has just come."""
        self.at[meter].append(time.monotonic())


def measure(run: Run) -> Result:
    """Watch reports on their way, then what ten meters that report every second write."""
    result, costs = Result(), {}
    for count in SIZES:
        costs[count], late_ms, lost = _watched(run, count)
    _judge(run, result, late_ms, lost, costs)
    _written(run, result)
    return result


def _watched(run: Run, count: int) -> tuple[float, Sample, int]:
    """Return the CPU (ms) and the lateness (ms) of a report, and how many had no message."""
    messages = Messages()
    with (
        run.scratch() as folder,
        servers(folder) as there,
        devices(count, report_every_s=EVERY_S * count / SIZES[-1], log=folder / "log") as meters,
        service(folder / "esquirell", there, meters, POLLED_S) as ours,
        readings_heard(there.mqtt_port, messages.note),
    ):
        wait_until(lambda: ours.readings() >= count, START_S)
        time.sleep(EVERY_S)
        begin, cpu_s = time.monotonic(), ours.tree.cpu_s()
        time.sleep(QUICK_WATCHED_S if run.quick else WATCHED_S)
        end, cpu_s = time.monotonic(), ours.tree.cpu_s() - cpu_s
        time.sleep(LOST_S)
        reports = _reports(folder / "log", meters, begin, end)
    late = [_late_ms(messages.at[meter], at) for meter, at in reports]
    found = [one for one in late if one is not None]
    return cpu_s * 1000 / len(reports), Sample(found), len(late) - len(found)


def _reports(
    log: Path, meters: Sequence[Device], begin: float, end: float
) -> list[tuple[str, float]]:
    names = {meter.address: meter.name for meter in meters}
    lines = (line.split() for line in log.read_text(encoding="utf-8").splitlines())
    moments = [(names[address], float(at)) for address, at in lines]
    return [(name, at) for name, at in moments if begin <= at < end]


def _late_ms(messages: Sequence[float], at: float) -> float | None:
    """Return the time to the first message of the meter after a report."""
    place = bisect_left(messages, at)
    if place == len(messages) or messages[place] > at + LOST_S:
        return None
    return (messages[place] - at) * 1000


def _judge(run: Run, result: Result, late: Sample, lost: int, costs: Mapping[int, float]) -> None:
    count = SIZES[-1]
    what = (
        f"a report to its MQTT message, {count} held meters, {count / EVERY_S:g} reports a second"
    )
    tail = late.percentile(0.99)
    result.at_most(13, f"{what}, median", late.median, MEDIAN_MS, "ms", late.text(0))
    result.at_most(13, f"{what}, 99th percentile", tail, TAIL_MS, "ms")
    result.judge(13, "the same: reports without a message", "none", str(lost), met=lost == 0)
    result.at_most(13, "the same: CPU a report, storing included", costs[count], CPU_MS, "ms")
    shown = " → ".join(f"{cost:.2f}" for cost in costs.values()) + " ms"
    meters = ", ".join(map(str, costs))
    falls = costs[count] <= max(costs[one] for one in SIZES[:-1])
    what = f"CPU a report, ten reports a second of {meters} meters"
    result.judge(15, what, "never grows", shown, met=falls)
    run.say(f"reports: {late.text(0)} ms, 99 %: {tail:.0f} ms, {lost} lost, CPU {shown}")


def _written(run: Run, result: Result) -> None:
    """Scale what some minutes of default settings write to a day, and to 90 of them.

    They begin once each meter has its first reading: tables and logs grow until then.
    """
    seconds = QUICK_WRITTEN_S if run.quick else WRITTEN_S
    with (
        run.scratch() as folder,
        servers(folder) as there,
        devices(CHATTY, report_every_s=1.0) as meters,
        service(folder / "esquirell", there, meters, POLLED_S) as ours,
    ):
        wait_until(lambda: ours.readings() >= CHATTY, START_S)
        time.sleep(SETTLE_S)
        roots = (ours.tree, Tree(there.redis.pid))
        before, stored = sum(tree.written_bytes() for tree in roots), ours.readings()
        time.sleep(seconds)
        written = sum(tree.written_bytes() for tree in roots) - before
        rows = ours.readings() - stored
    a_day = written * DAY_S / seconds / 1e6
    what = f"{CHATTY} meters that report every second, default settings"
    result.at_most(8, f"bytes written a day, {what}, of {seconds:g} s", a_day, WRITTEN_MB, "MB")
    kept = rows / CHATTY * DAY_S / seconds * KEPT_DAYS * ROW_BYTES / 1e6
    result.at_most(
        8,
        f"the same: a meter in the database after {KEPT_DAYS} days, at {ROW_BYTES} bytes a reading",
        kept,
        DATABASE_MB,
        "MB",
    )
    run.say(f"reports: {a_day:.0f} MB written a day, {kept:.0f} MB a meter after {KEPT_DAYS} days")
