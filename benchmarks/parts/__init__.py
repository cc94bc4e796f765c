"""The parts of the benchmark, by the names that the command line takes."""

from collections.abc import Callable

from benchmarks.parts import cost, freshness, growth, history, page, scale, starting, steady
from benchmarks.report import Result
from benchmarks.run import Run

PARTS: dict[str, Callable[[Run], Result]] = {
    "cost": cost.measure,
    "growth": growth.measure,
    "steady": steady.measure,
    "freshness": freshness.measure,
    "scale": scale.measure,
    "history": history.measure,
    "starting": starting.measure,
    "page": page.measure,
}
