"""Figure 11: how long it takes until something is there."""

import resource
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.commands import subscribed
from benchmarks.devices import Device, devices
from benchmarks.environments import ours
from benchmarks.programs import Servers, environment, servers
from benchmarks.report import Result
from benchmarks.run import Run
from benchmarks.samples import Sample
from benchmarks.service import service

REPEATS, QUICK_REPEATS = 9, 3
STARTS, QUICK_STARTS = 5, 2
FIRST_READING_S, HELP_MS, READINGS_MS = 1.2, 150.0, 350.0
LIMIT_S = 60.0
# What a short command can't do without, and how much more it may take.
LIBRARIES = "import sqlalchemy.dialects.sqlite, click"
SHORT = ("readings --json", "meters list", "schedule list")
SHORT_RATIO = 1.15


class Taken(NamedTuple):
    """Milliseconds from a program's start to its end, and those in which it had a processor."""

    wall_ms: Sample
    cpu_ms: Sample

    @classmethod
    def by(cls, command: Sequence[str], repeats: int) -> "Taken":
        """Run a program some times."""
        walls, cpus = zip(*(_once(command) for _ in range(repeats)), strict=True)
        return cls(Sample(walls), Sample(cpus))


def _once(command: Sequence[str]) -> tuple[float, float]:
    began, used = time.perf_counter(), _used_s()
    subprocess.run(
        command, env=environment(), check=True, stdout=subprocess.DEVNULL, timeout=LIMIT_S
    )
    return (time.perf_counter() - began) * 1000, (_used_s() - used) * 1000


def _used_s() -> float:
    """Return the CPU seconds of all children that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(run: Run) -> Result:
    """Start the service, and commands of the command line, some times each."""
    result = Result()
    with run.scratch() as folder, servers(folder) as there, devices(1) as meters:
        fresh, again = _starts(run, folder, there, meters)
        config = folder / "again" / "esquirell.toml"
        repeats = QUICK_REPEATS if run.quick else REPEATS
        program = [ours(), "-m", "esquirell"]
        bare = Taken.by([ours(), "-c", "pass"], repeats)
        helped = Taken.by([*program, "--help"], repeats)
        listed = Taken.by([*program, "--config", str(config), "readings", "--json"], repeats)
        libraries = Taken.by([ours(), "-c", LIBRARIES], repeats)
        short = {
            command: Taken.by([*program, "--config", str(config), *command.split()], repeats)
            for command in SHORT
        }
    what = "`esquirell run` to the first reading stored and published"
    for when, sample in (("", again), (", with a new database", fresh)):
        result.at_most(11, what + when, sample.median, FIRST_READING_S, "s", sample.text())
    _judge(run, result, "`esquirell --help`", helped, bare, HELP_MS)
    _judge(run, result, "`esquirell readings --json`", listed, bare, READINGS_MS)
    for command, taken in short.items():
        ratio = taken.cpu_ms.median / libraries.cpu_ms.median
        what = f"CPU of `esquirell {command}` against Python with SQLAlchemy and click alone"
        result.at_most(11, what, ratio, SHORT_RATIO, "times")
        run.say(f"starting: {command} {ratio:.2f} times the libraries alone")
    return result


def _judge(run: Run, result: Result, name: str, taken: Taken, bare: Taken, limit_ms: float) -> None:
    beside = f"Python alone: {bare.wall_ms.median:.0f} ms, CPU {bare.cpu_ms.median:.0f}"
    shown = f"{taken.wall_ms.text(0)} ms, of which CPU {taken.cpu_ms.median:.0f}"
    met = taken.wall_ms.median <= limit_ms
    result.judge(11, f"{name} ({beside})", f"≤ {limit_ms:g} ms", shown, met=met)
    run.say(f"starting: {name} {shown}; {beside}")


def _starts(
    run: Run, folder: Path, there: Servers, meters: Sequence[Device]
) -> tuple[Sample, Sample]:
    """Start with a new database, and with one that has its tables and no reading yet."""
    count = QUICK_STARTS if run.quick else STARTS
    fresh = Sample(_start(folder / f"fresh{number}", there, meters) for number in range(count))
    again = Sample(_restart(folder / "again", there, meters) for _ in range(count))
    run.say(f"starting: first reading after {again.text()} s, new database {fresh.text()} s")
    return fresh, again


def _restart(place: Path, there: Servers, meters: Sequence[Device]) -> float:
    if not (place / "data").exists():
        _start(place, there, meters)
    _forget_runs(there)
    return _start(place, there, meters)


def _forget_runs(there: Servers) -> None:
    """Empty Redis, which knows when a schedule ran last: else no poll would be due at once."""
    import redis  # noqa: PLC0415 - a client that nothing else here needs

    with closing(redis.Redis(port=there.redis_port)) as client:
        client.flushall()


def _start(place: Path, there: Servers, meters: Sequence[Device]) -> float:
    """Return the seconds until the first reading is seen at the broker, after it was stored."""
    seen: list[float] = []
    published = threading.Event()

    def note(_client: Client, _userdata: object, message: MQTTMessage) -> None:
        if message.payload and not message.retain:
            seen.append(time.monotonic())
            published.set()

    client = Client(CallbackAPIVersion.VERSION2)
    topic = f"esquirell/meter/{meters[0].name}/state"
    with subscribed(there.mqtt_port, topic, client):
        client.publish(topic, b"", 1, retain=True).wait_for_publish(LIMIT_S)
        client.on_message = note
        began = time.monotonic()
        with service(place, there, meters, 1):
            if not published.wait(LIMIT_S):
                raise TimeoutError("the service published no reading")
    return seen[0] - began
