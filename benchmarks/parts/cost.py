"""Figures 1, 6 and 12: what a reading costs, side by side with the others."""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from benchmarks.commands import Latency, latencies
from benchmarks.devices import Device, devices
from benchmarks.plot import plot
from benchmarks.programs import MissingError, Servers, servers, wait_until
from benchmarks.report import Result, table
from benchmarks.run import Run
from benchmarks.samples import Sample, per
from benchmarks.systems import REFERENCE, SYSTEMS, System

OURS = "esquirell"
EVERY_S = {1: 1, 10: 1, 100: 1, 1000: 10}
LIMITS = {1: 5.0, 10: 1.0, 100: 0.5, 1000: 0.5}
WINDOW_S = {1: 12.0, 10: 20.0, 100: 10.0, 1000: 20.0}
QUICK_S = 3.0
WARM_S = 120.0
COMMANDS, QUICK_COMMANDS = 30, 7


@dataclass(slots=True)
class Cost:
    """What one system used with so many meters: CPU milliseconds per reading, one per window."""

    cpu_ms: list[float] = field(default_factory=list)
    pss_mib: float = 0.0
    rss_mib: float = 0.0


@dataclass(slots=True)
class Size:
    """All systems with so many meters, and how soon ours answers commands meanwhile."""

    meters: int
    costs: dict[str, Cost]
    answers: list[Latency]

    def ratio(self) -> Sample:
        """Return what a reading of ours costs, by window, as a multiple of the reference's."""
        reference = Sample(self.costs[REFERENCE].cpu_ms).median
        return Sample(ours / reference for ours in self.costs[OURS].cpu_ms)


def measure(run: Run) -> Result:
    """Measure with one meter, ten, a hundred, and a thousand unless it has to be quick."""
    counts = [count for count in EVERY_S if not (run.quick and count == max(EVERY_S))]
    sizes = [_size(run, count) for count in counts]
    result = Result()
    for size in sizes:
        ratio = size.ratio()
        what = f"CPU per reading against the reference loop, {_meters(size.meters)}"
        result.at_most(1, what, ratio.median, LIMITS[size.meters], "times", ratio.text())
        if size.meters == 100:  # noqa: PLR2004 - the size for commands
            _judge_commands(result, size.answers)
    _judge_growth(result, sizes)
    result.sections.append(_side_by_side(sizes))
    return result


def _size(run: Run, count: int) -> Size:
    every_s, window_s = EVERY_S[count], QUICK_S if run.quick else WINDOW_S[count]
    run.say(f"cost: {_meters(count)} each {every_s} s, {len(SYSTEMS)} systems side by side")
    with run.scratch() as folder, servers(folder) as there, ExitStack() as stack:
        systems, ours = _start(run, stack, folder, there, count)
        costs = {name: Cost() for name in systems}
        for _ in range(3 if run.quick else 5):
            _window(systems, costs, window_s)
        for name, cost in costs.items():
            cost.pss_mib, cost.rss_mib = systems[name].tree.pss_mib(), systems[name].tree.rss_mib()
            run.say(f"cost:   {name}: {Sample(cost.cpu_ms).text()} ms, {cost.pss_mib:.1f} MiB")
        answers = latencies(there.mqtt_port, ours, QUICK_COMMANDS if run.quick else COMMANDS)
    return Size(count, costs, answers)


def _start(
    run: Run, stack: ExitStack, folder: Path, there: Servers, count: int
) -> tuple[dict[str, System], Sequence[Device]]:
    systems: dict[str, System] = {}
    meters: dict[str, Sequence[Device]] = {}
    for name, start in SYSTEMS.items():
        meters[name] = stack.enter_context(devices(count))
        place = folder / name.replace(" ", "-")
        try:
            systems[name] = stack.enter_context(start(place, there, meters[name], EVERY_S[count]))
        except MissingError as error:
            run.say(f"cost: without {name}: {error}")
    return _warm(run, systems, count), meters[OURS]


def _warm(run: Run, systems: dict[str, System], count: int) -> dict[str, System]:
    """Wait until each has read its meters twice; leave out peers that can't."""
    for name in list(systems):
        try:
            wait_until(lambda name=name: systems[name].readings() >= 2 * count, WARM_S)  # type: ignore[misc]  # bound at once
        except TimeoutError:
            if name in (OURS, REFERENCE):
                raise
            run.say(f"cost: without {name}: it does not read {_meters(count)}")
            del systems[name]
    return systems


def _window(systems: Mapping[str, System], costs: Mapping[str, Cost], window_s: float) -> None:
    before = {name: (one.tree.cpu_s(), one.readings()) for name, one in systems.items()}
    time.sleep(window_s)
    for name, one in systems.items():
        cpu_s, readings = one.tree.cpu_s() - before[name][0], one.readings() - before[name][1]
        costs[name].cpu_ms += per([cpu_s * 1000], [readings])


def _judge_commands(result: Result, answers: Sequence[Latency]) -> None:
    accepted = Sample(one.accepted_ms for one in answers)
    ended = Sample(one.ended_ms for one in answers)
    during = "while 100 meters are polled every second, median"
    result.at_most(
        6, f"`fetch` to `accepted`, {during}", accepted.median, 10, "ms", accepted.text(0)
    )
    result.at_most(6, f"`fetch` to `ok`, {during}", ended.median, 60, "ms", ended.text(0))


def _judge_growth(result: Result, sizes: Sequence[Size]) -> None:
    medians = [Sample(size.costs[OURS].cpu_ms).median for size in sizes]
    falls = all(later <= earlier for earlier, later in pairwise(medians))
    shown = " → ".join(f"{one:.2f}" for one in medians) + " ms"
    result.judge(12, "CPU per reading with more meters", "never grows", shown, met=falls)


def _side_by_side(sizes: Sequence[Size]) -> str:
    names = [name for name in SYSTEMS if any(name in size.costs for size in sizes)]
    head = ("system", *(f"{_meters(size.meters)} each {EVERY_S[size.meters]} s" for size in sizes))
    rows = [(name, *(_cell(size.costs.get(name)) for size in sizes)) for name in names]
    answers = [
        f"{Sample(a.accepted_ms for a in size.answers).median:.0f} / "
        f"{Sample(a.ended_ms for a in size.answers).median:.0f} ms"
        for size in sizes
    ]
    lines = table(head, [*rows, ("`fetch` to accepted / ok, esquirell", *answers)])
    note = (
        "CPU milliseconds per reading (lowest to highest window), then memory as PSS / RSS in MiB."
    )
    drawing = plot({name: _points(sizes, name) for name in names})
    return f"## Side by side\n\n{note}\n\n{lines}\n\n```text\n{drawing}\n```"


def _points(sizes: Sequence[Size], name: str) -> dict[int, float]:
    return {
        size.meters: Sample(size.costs[name].cpu_ms).median for size in sizes if name in size.costs
    }


def _cell(cost: Cost | None) -> str:
    if cost is None:
        return "-"
    return f"{Sample(cost.cpu_ms).text()}; {cost.pss_mib:.0f} / {cost.rss_mib:.0f}"


def _meters(count: int) -> str:
    return "1 meter" if count == 1 else f"{count:,} meters"
