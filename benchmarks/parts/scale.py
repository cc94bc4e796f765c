"""Figure 7: a thousand meters, some of them dead, and two workers that share them."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.dead import dead
from benchmarks.devices import devices
from benchmarks.processes import Tree
from benchmarks.programs import servers, wait_until
from benchmarks.report import Result
from benchmarks.run import Run
from benchmarks.samples import Sample
from benchmarks.service import Service, service

ANSWERS_IN_S = 0.1
DEAD_SHARE = 20
LATE_MS, CPU_PERCENT, SHARE_PERCENT = 1000.0, 10.0, 60.0
FIRST_S = 150.0
BETWEEN = "SELECT meter_id, measured_at FROM reading WHERE measured_at BETWEEN {} AND {}"
TWO_WORKERS = ("beat", "bridge", "worker", "worker")


@dataclass(frozen=True, slots=True)
class Crowd:
    """How many meters are polled how often, and for how many rounds that is watched."""

    meters: int = 1000
    every_s: int = 60
    rounds: int = 2

    @property
    def what(self) -> str:
        """The crowd in words."""
        return f"{self.meters:,} meters each {self.every_s} s, answers in 100 ms, 5 % dead"


QUICK = Crowd(100, 10, 1)
# How work is shared shows in many rounds, not in many meters.
SHARED = Crowd(200, 5, 8)


def measure(run: Run) -> Result:
    """Watch one service, then two workers."""
    result = Result()
    crowd = QUICK if run.quick else Crowd()
    with _watched(run, crowd, ("run",)) as (ours, living):
        _one_service(run, result, crowd, ours, living)
    if not run.quick:
        with _watched(run, SHARED, TWO_WORKERS) as (ours, living):
            _two_workers(run, result, SHARED, ours, living)
    return result


@contextmanager
def _watched(run: Run, crowd: Crowd, roles: Sequence[str]) -> Iterator[tuple[Service, int]]:
    """Run these roles with their meters; returns the service and how many meters live."""
    lost = crowd.meters // DEAD_SHARE
    with (
        devices(crowd.meters - lost, ANSWERS_IN_S) as living,
        dead(lost) as gone,
        run.scratch() as folder,
        servers(folder) as there,
        service(folder / "esquirell", there, [*living, *gone], crowd.every_s, roles) as ours,
    ):
        yield ours, len(living)


def _one_service(run: Run, result: Result, crowd: Crowd, ours: Service, living: int) -> None:
    begin, watched_s = _begin(run, crowd, ours, living), crowd.rounds * crowd.every_s
    cpu_s = ours.tree.cpu_s()
    time.sleep(watched_s)
    percent = (ours.tree.cpu_s() - cpu_s) / watched_s * 100
    rows = ours.rows(BETWEEN.format(begin * 1000, (begin + watched_s) * 1000))
    missed, late = (
        _missed(crowd, living, rows),
        Sample(at % (crowd.every_s * 1000) for _, at in rows),
    )
    shown = f"{missed} of {living * crowd.rounds:,} polls missed"
    result.judge(7, crowd.what, "every live meter polled each time", shown, met=missed == 0)
    tail, spread = late.percentile(0.99), f"{late.percentile(0.99):.0f} (median {late.median:.0f})"
    result.at_most(7, "the same: lateness, 99th percentile", tail, LATE_MS, "ms", spread)
    result.at_most(7, "the same: CPU", percent, CPU_PERCENT, "% of one core")
    run.say(f"scale: {shown}, late {spread} ms, CPU {percent:.1f} %")


def _missed(crowd: Crowd, living: int, rows: Sequence[tuple[int, ...]]) -> int:
    """Count the polls that are not there; a second one of a round makes up for none."""
    polled = Counter(meter for meter, _ in rows)
    return living * crowd.rounds - sum(min(count, crowd.rounds) for count in polled.values())


def _begin(run: Run, crowd: Crowd, ours: Service, living: int) -> int:
    """Wait until all have been read, then for the next round; give when it begins."""
    run.say(f"scale: {crowd.what}")
    wait_until(lambda: ours.readings() >= living, FIRST_S)
    begin = (int(time.time()) // crowd.every_s + 1) * crowd.every_s
    # Readings of a round come after its beginning: start to watch a moment before.
    time.sleep(max(0.0, begin - 0.2 - time.time()))
    return begin


def _two_workers(run: Run, result: Result, crowd: Crowd, ours: Service, living: int) -> None:
    """Compare by CPU time, as a reading does not say who took it."""
    _begin(run, crowd, ours, living)
    workers = [Tree(process.pid) for process in ours.processes[-2:]]
    before = [worker.cpu_s() for worker in workers]
    time.sleep(crowd.rounds * crowd.every_s)
    used = [worker.cpu_s() - old for worker, old in zip(workers, before, strict=True)]
    busier = max(used) / sum(used) * 100
    what = f"two workers, {crowd.what}: share of the busier one, by CPU time"
    result.at_most(7, what, busier, SHARE_PERCENT, "%")
    run.say(f"scale: two workers, the busier one does {busier:.0f} %")
