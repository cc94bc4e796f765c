"""The parts of the benchmark, by the names that the command line takes."""

from collections.abc import Callable

from benchmarks.parts import (
    cost,
    freshness,
    growth,
    history,
    memory,
    page,
    reports,
    scale,
    starting,
    steady,
)
from benchmarks.report import Result
from benchmarks.run import Run

PARTS: dict[str, Callable[[Run], Result]] = {
    "cost": cost.measure,
    "memory": memory.measure,
    "growth": growth.measure,
    "steady": steady.measure,
    "freshness": freshness.measure,
    "reports": reports.measure,
    "scale": scale.measure,
    "history": history.measure,
    "starting": starting.measure,
    "page": page.measure,
}
