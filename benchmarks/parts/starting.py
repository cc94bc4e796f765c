"""Figure 11: how long it takes until something is there."""

import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.commands import subscribed
from benchmarks.devices import Device, devices
from benchmarks.programs import Servers, environment, servers
from benchmarks.report import Result
from benchmarks.run import Run
from benchmarks.samples import Sample
from benchmarks.service import service

REPEATS, QUICK_REPEATS = 9, 3
STARTS, QUICK_STARTS = 5, 2
FIRST_READING_S, HELP_MS, READINGS_MS = 1.2, 150.0, 350.0
LIMIT_S = 60.0
BARE = [sys.executable, "-c", "pass"]


def measure(run: Run) -> Result:
    """Start the service, and commands of the command line, some times each."""
    result = Result()
    with run.scratch() as folder, servers(folder) as there, devices(1) as meters:
        fresh, again = _starts(run, folder, there, meters)
        config = folder / "again" / "esquirell.toml"
        repeats = QUICK_REPEATS if run.quick else REPEATS
        bare = _timed(BARE, repeats)
        ours = [sys.executable, "-m", "esquirell"]
        helped = _timed([*ours, "--help"], repeats)
        listed = _timed([*ours, "--config", str(config), "readings", "--json"], repeats)
    what = "`esquirell run` to the first reading stored and published"
    result.at_most(11, what, again.median, FIRST_READING_S, "s", again.text())
    result.at_most(
        11, f"{what}, with a new database", fresh.median, FIRST_READING_S, "s", fresh.text()
    )
    beside = f"Python alone: {bare.text(0)} ms"
    for name, sample, limit in (
        ("`esquirell --help`", helped, HELP_MS),
        ("`esquirell readings --json`", listed, READINGS_MS),
    ):
        result.at_most(11, f"{name} ({beside})", sample.median, limit, "ms", sample.text(0))
        run.say(f"starting: {name} {sample.text(0)} ms; {beside}")
    return result


def _starts(
    run: Run, folder: Path, there: Servers, meters: Sequence[Device]
) -> tuple[Sample, Sample]:
    """Start with a new database, and with one that has its tables and no reading yet."""
    count = QUICK_STARTS if run.quick else STARTS
    fresh = Sample(_start(folder / f"fresh{number}", there, meters) for number in range(count))
    # A poll is due at once only when the last one is long ago: the database's copy is taken back.
    again = Sample(_restart(folder / "again", there, meters) for _ in range(count))
    run.say(f"starting: first reading after {again.text()} s, new database {fresh.text()} s")
    return fresh, again


def _restart(place: Path, there: Servers, meters: Sequence[Device]) -> float:
    if not (place / "data").exists():
        _start(place, there, meters)
    _forget_runs(there)
    return _start(place, there, meters)


def _forget_runs(there: Servers) -> None:
    """Empty Redis, which is what knows when a schedule ran last."""
    import redis  # noqa: PLC0415 - a client that nothing else here needs

    with closing(redis.Redis(port=there.redis_port)) as client:
        client.flushall()


def _start(place: Path, there: Servers, meters: Sequence[Device]) -> float:
    """Give the seconds until the first reading is seen at the broker, after it was stored."""
    seen: list[float] = []
    published = threading.Event()

    def note(*_: object) -> None:
        seen.append(time.monotonic())
        published.set()

    client = Client(CallbackAPIVersion.VERSION2)
    topic = f"esquirell/meter/{meters[0].name}/state"
    with subscribed(there.mqtt_port, topic, client):
        client.publish(topic, b"", 1, retain=True).wait_for_publish(LIMIT_S)
        client.on_message = lambda _c, _u, message: note() if _is_new(message) else None
        began = time.monotonic()
        with service(place, there, meters, 1):
            if not published.wait(LIMIT_S):
                raise TimeoutError("the service published no reading")
    return seen[0] - began


def _is_new(message: "object") -> bool:
    return bool(getattr(message, "payload", b"")) and not getattr(message, "retain", False)


def _timed(command: Sequence[str], repeats: int) -> Sample:
    """Run a program some times; milliseconds from its start to its end."""
    return Sample(_once(command) for _ in range(repeats))


def _once(command: Sequence[str]) -> float:
    began = time.perf_counter()
    subprocess.run(
        command, env=environment(), check=True, stdout=subprocess.DEVNULL, timeout=LIMIT_S
    )
    return (time.perf_counter() - began) * 1000
