"""Figure 14: how long the page takes at the server, and what of it is sent."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.commands import readings_heard
from benchmarks.devices import Device, devices
from benchmarks.history import YEAR
from benchmarks.parts.freshness import MEDIAN_MS, TAIL_MS, Lateness
from benchmarks.programs import ROOT, Servers, environment, free_port, servers, wait_until
from benchmarks.report import Result
from benchmarks.run import Run
from benchmarks.samples import Sample
from benchmarks.service import service
from benchmarks.visitor import Visitor
from esquirell.web.recent import KEEP_S

PASSWORD = "only-for-the-benchmark"  # noqa: S105 - of a service that lives for minutes
QUICK_READINGS = 20_000
MANY, READ_EACH_SECOND = 60, 100
REPEATS, QUICK_REPEATS = 11, 5
FIRST_MS, DAY_MS, YEAR_MS, MANY_MS = 150.0, 200.0, 300.0, 300.0
SENT_KB = 100.0
OPENED_S, QUICK_OPENED_S = 30.0, 5.0
# Nobody clicks faster.
PAUSE_S = 0.5
START_S, FILL_S = 60.0, 600.0
# The readings end now: a day in their midst, and the year that most of them lie in.
NOW = datetime.now(UTC)
A_DAY = f"history?span=day&show=power&by=raw&at={(NOW - timedelta(days=5)).date()}"
A_YEAR = f"history?span=year&by=day&at={(NOW - timedelta(days=182)).date()}"


def measure(run: Run) -> Result:
    """Open pages of one meter with a year behind it, of sixty, and while a hundred are read."""
    result = Result()
    with run.scratch() as folder, servers(folder) as there:
        year = folder / "year"
        _fill(year / "data", QUICK_READINGS if run.quick else YEAR)
        run.say("page: the readings are there")
        with devices(1) as meters, _place(year, there, _with_main(meters)) as visitor:
            _one(run, result, visitor)
        with devices(MANY) as meters, _place(folder / "many", there, meters) as visitor:
            many = _opened(run, visitor, "")
            what = f"page: {MANY} meters on Now"
            result.at_most(14, what, many.median, MANY_MS, "ms", many.text(0))
            run.say(f"{what} {many.text(0)} ms")
        with (
            devices(READ_EACH_SECOND) as meters,
            _place(year, there, _with_main(meters)) as visitor,
        ):
            _while_read(run, result, there, visitor)
    return result


def _with_main(meters: Sequence[Device]) -> list[Device]:
    """Return the meters with the first one named as in the year of readings."""
    return [meters[0]._replace(name="main"), *meters[1:]]


def _one(run: Run, result: Result, visitor: Visitor) -> None:
    first = Sample([visitor.opened("").taken_ms])
    result.at_most(14, "page: first view", first.median, FIRST_MS, "ms", first.text(0))
    sent = visitor.weight("") / 1000
    result.at_most(14, "page: sent for a first view", sent, SENT_KB, "kB")
    readings = QUICK_READINGS if run.quick else YEAR
    for what, path, limit_ms in (
        ("a day by minute", A_DAY, DAY_MS),
        (f"a year by day, {readings:,} readings", A_YEAR, YEAR_MS),
    ):
        visitor.check_picture(path)
        taken = _drawn_anew(run, visitor, path)
        result.at_most(14, f"page: {what}", taken.median, limit_ms, "ms", taken.text(0))
        run.say(f"page: {what} {taken.text(0)} ms")
    run.say(f"page: first view {first.text(0)} ms, {sent:.0f} kB")


def _opened(run: Run, visitor: Visitor, path: str) -> Sample:
    count = QUICK_REPEATS if run.quick else REPEATS
    return Sample(visitor.opened(path).taken_ms for _ in range(count))


def _drawn_anew(run: Run, visitor: Visitor, path: str) -> Sample:
    """Open a page that was not opened for a while, as drawings are cached for some seconds."""
    taken = []
    for _ in range(QUICK_REPEATS if run.quick else REPEATS):
        time.sleep(KEEP_S + PAUSE_S)
        taken.append(visitor.opened(path).taken_ms)
    return Sample(taken)


def _while_read(run: Run, result: Result, there: Servers, visitor: Visitor) -> None:
    """Open a year again and again while each meter is read every second."""
    lateness = Lateness()
    with readings_heard(there.mqtt_port, lateness.note), _again(lambda: visitor.opened(A_YEAR)):
        time.sleep(2.0)
        lateness.late_ms.clear()
        time.sleep(QUICK_OPENED_S if run.quick else OPENED_S)
        late = Sample(lateness.late_ms)
    what = f"due to MQTT message, {READ_EACH_SECOND} meters every second, a year opened meanwhile"
    median, tail = late.median, late.percentile(0.99)
    result.at_most(14, f"{what}, median", median, MEDIAN_MS, "ms")
    result.at_most(14, f"{what}, 99th percentile", tail, TAIL_MS, "ms")
    run.say(f"page: {what}: {median:.0f} ms, {tail:.0f} ms")


@contextmanager
def _again(work: Callable[[], object]) -> Iterator[None]:
    ended = threading.Event()

    def go_on() -> None:
        while not ended.wait(PAUSE_S):
            work()

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def _place(folder: Path, there: Servers, meters: Sequence[Device]) -> Iterator[Visitor]:
    """Run a service whose meters are read every second; yield a visitor who is logged in."""
    port = free_port()
    # All readings are kept: a year of them is to be looked at.
    page = (
        f"web.port = {port}",
        f'web.password = "{PASSWORD}"',
        'database.raw_retention = "5000d"',
    )
    with service(folder, there, meters, 1, settings=page) as ours:
        visitor = Visitor(port)
        wait_until(visitor.finds_it, START_S)
        known = ours.readings()
        wait_until(lambda: ours.readings() >= known + 2 * len(meters), START_S)
        visitor.log_in(PASSWORD)
        yield visitor


def _fill(folder: Path, count: int) -> None:
    """Have benchmarks/history.py store readings, and work up what is asked of them."""
    folder.mkdir(parents=True, mode=0o700)
    command = [sys.executable, "-m", "benchmarks.history", "--readings", str(count), "--fill"]
    subprocess.run(
        [*command, "--url", f"sqlite:///{folder / 'esquirell.db'}"],
        cwd=ROOT,
        env=environment() | {"TMPDIR": os.fspath(folder)},
        check=True,
        timeout=FILL_S,
    )
