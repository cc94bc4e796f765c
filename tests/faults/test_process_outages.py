"""What happens to the process itself, to its meters and to its clock."""

import json
import os
import resource
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from support.fault_bench import (
    LIMIT_S,
    METERS,
    Bench,
    Outage,
    Result,
    check,
    endure,
    looped_s,
    preloaded,
)
from support.waiting import eventually

from esquirell.runtime.machine import Machine
from esquirell.storage.spool import Spool

YEAR_S = 365 * 86_400


def reloaded(bench: Bench) -> None:
    """Send SIGHUP twenty times a second."""
    for _ in range(int(20 * looped_s(10))):
        bench.send("run", signal.SIGHUP)
        bench.steady(0.05)


def emptied(bench: Bench) -> None:
    """Leave the configuration empty, as an editor does for a moment, and have it read."""
    config = bench.folder / "esquirell.toml"
    config.rename(bench.folder / "kept.toml")
    config.touch(0o600)
    bench.send("run", signal.SIGHUP)


def filled(bench: Bench) -> None:
    (bench.folder / "kept.toml").rename(bench.folder / "esquirell.toml")
    bench.send("run", signal.SIGHUP)


def unplugged(bench: Bench) -> None:
    for meter in bench.meters:
        meter.stop()


def plugged_in(bench: Bench) -> None:
    bench.replace_meters()


def out_of_files(bench: Bench) -> None:
    """Let the process open nothing more: sockets and files that are open stay so."""
    open_now = len(list(Path(f"/proc/{bench.process_id}/fd").iterdir()))
    _, hard = resource.prlimit(bench.process_id, resource.RLIMIT_NOFILE)
    resource.prlimit(bench.process_id, resource.RLIMIT_NOFILE, (open_now, hard))


def with_files(bench: Bench) -> None:
    _, hard = resource.prlimit(bench.process_id, resource.RLIMIT_NOFILE)
    resource.prlimit(bench.process_id, resource.RLIMIT_NOFILE, (hard, hard))


def out_of_files_and_redis_restarts(bench: Bench) -> None:
    """Nothing that is lost meanwhile can be opened again."""
    out_of_files(bench)
    bench.redis.kill()
    bench.redis.start()


PROCESS = {
    "no more open files for 20 s": Outage(out_of_files, with_files),
    "no more open files for 20 s, and Redis restarts": Outage(
        out_of_files_and_redis_restarts, with_files
    ),
    "SIGHUP twenty times a second": Outage(reloaded, lasts_s=10),
    "all meters without power for 20 s": Outage(unplugged, plugged_in, may_miss=METERS),
}


@pytest.mark.parametrize("fault", PROCESS)
def test_the_process(fault: str, tmp_path: Path, results: list[Result]) -> None:
    with Bench(tmp_path) as bench:
        results.append(endure(bench, fault, PROCESS[fault]))


def test_an_empty_configuration_changes_nothing(tmp_path: Path, results: list[Result]) -> None:
    with Bench(tmp_path) as bench:
        bench.steady()
        emptied(bench)
        bench.grows()
        bench.steady(10)
        filled(bench)
        bench.grows()
        result = bench.finish("empty configuration at SIGHUP")
        assert result.taken == result.stored
        results.append(result)


STUCK = """
import time

from celery import shared_task


@shared_task
def stuck():
    while True:
        time.sleep(1)
"""


def test_tasks_that_never_end(tmp_path: Path, results: list[Result]) -> None:
    """Schedules start them each second: they take all threads but those for polls."""

    def prepared(bench: Bench) -> None:
        (bench.folder / "my_tasks.py").write_text(STUCK)
        plans = [("fetch", "fetch_and_save_energy_data")]
        plans += [(f"stuck-{number}", "my_tasks.stuck") for number in range(6)]
        schedules = [{"name": name, "task": task, "every": 1} for name, task in plans]
        bench.environment["ESQUIRELL_SCHEDULES"] = json.dumps(schedules)

    environment = {"PYTHONPATH": str(tmp_path), "ESQUIRELL_TASKS__MODULES": '["my_tasks"]'}
    outage = Outage(lambda _: None, lasts_s=40, pause_s=6.0)
    with Bench(tmp_path, environment=environment, prepared=prepared) as bench:
        results.append(endure(bench, "six tasks of a user that never end, each second", outage))
        assert "schedule stuck-5 is skipped" in bench.services["run"].log


def test_an_unread_log_pipe_loses_no_reading(tmp_path: Path, results: list[Result]) -> None:
    """A full pipe in place of the log delays no poll."""
    with Bench(tmp_path, roles=()) as bench:
        reader, writer = os.pipe()
        os.set_blocking(writer, True)
        bench.start_into(writer)
        bench.steady(20)
        bench.send("run", signal.SIGHUP)
        bench.grows()
        os.close(reader)
        bench.grows()
        result = bench.finish("log into a pipe that nobody reads, then closed")
        os.close(writer)
        assert result.taken == result.stored
        results.append(result)


@contextmanager
def clock(folder: Path, offset_s: int) -> Iterator[tuple[dict[str, str], Path]]:
    """Build the library that shifts a process' clock; yield its environment and its offset file."""
    offset = folder / "offset"
    offset.write_text(str(offset_s))
    yield preloaded(folder, "clock_step") | {"CLOCK_STEP_FILE": str(offset)}, offset


STEPS = {
    "clock set forward by an hour": 3600,
    "clock set back by an hour": -3600,
    "clock set forward by a year": YEAR_S,
    "clock set back by a year": -YEAR_S,
}


@pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
@pytest.mark.parametrize("step", STEPS)
def test_a_clock_step(step: str, tmp_path: Path, results: list[Result]) -> None:
    with clock(tmp_path, 0) as (environment, offset):

        def inject(bench: Bench) -> None:
            offset.write_text(str(STEPS[step]))
            bench.grows(LIMIT_S)
            offset.write_text("0")

        with Bench(tmp_path, environment=environment) as bench:
            result = check(bench, f"{step}, and right again", inject, 0)
            # In the readings' own time the step itself is the longest pause.
            results.append(replace(result, pause_s=None))


BOOTS = {
    "boot in 1970, clock right after 10 s": -int(time.time()),
    "boot in 2000, clock right after 10 s": 946_684_800 - int(time.time()),
}


@pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
@pytest.mark.parametrize("boot", BOOTS)
def test_a_boot_with_a_wrong_clock(boot: str, tmp_path: Path, results: list[Result]) -> None:
    with clock(tmp_path, BOOTS[boot]) as (environment, offset):

        def set_right(_bench: Bench) -> None:
            offset.write_text("0")

        with Bench(tmp_path, environment=environment, stored_at_start=False) as bench:
            bench.grows()
            bench.steady(10)
            set_right(bench)
            bench.grows()
            eventually(lambda: bench.stored() >= bench.taken - METERS, LIMIT_S)
            result = bench.finish(boot)
            assert result.taken == result.stored
            results.append(replace(result, pause_s=None))


@pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
def test_a_first_boot_ten_years_ahead(tmp_path: Path, results: list[Result]) -> None:
    """Nothing speaks against that clock; the right one then has to run on for an hour."""
    with clock(tmp_path, 10 * YEAR_S) as (environment, offset):
        with Bench(tmp_path, environment=environment, stored_at_start=False) as bench:
            bench.grows()
            offset.write_text("0")
            bench.grows()
            result = bench.finish("first boot ten years ahead, then the right clock")
        spool = Spool(tmp_path / "data" / "spool.db")
        waiting = len(spool.undated())
        assert (waiting > 0) or Machine().is_synchronized()
        results.append(replace(result, stored=result.stored + waiting, pause_s=None))
        assert result.taken == result.stored + waiting
