"""The machine and the versions that figures were measured with."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.peers import PYRUSTUYABRIDGE, TUYA2MQTT
from benchmarks.programs import ROOT, MissingError, program
from benchmarks.report import table

PACKAGES = ("celery", "celery-redbeat", "redis", "paho-mqtt", "tinytuya", "sqlalchemy", "pydantic")
SERVERS = {"redis-server": "--version", "mosquitto": "-h"}
KIB_PER_GIB = 1024 * 1024


def description(arguments: list[str]) -> str:
    """Describe when, where and with what was measured, and how to do it again."""
    command = " ".join(["python -m benchmarks", *arguments])
    rows = [
        ("measured", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, load {_load()} at the start"),
        ("command", f"`{command}` (`make bench` runs it in full)"),
        ("commit", _commit()),
        ("machine", f"{_cpu()}, {os.cpu_count()} cores, {_memory_gib():.0f} GiB"),
        ("system", f"{platform.system()} {platform.release()}, Python {platform.python_version()}"),
        ("servers", "; ".join(map(_server, SERVERS))),
        ("packages", ", ".join(f"{name} {version(name)}" for name in PACKAGES)),
        ("peers", ", ".join(one.replace("==", " ") for one in (TUYA2MQTT, PYRUSTUYABRIDGE))),
    ]
    return table(("what", "which"), rows)


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def _commit() -> str:
    done = subprocess.run(
        [program("git"), "describe", "--always", "--dirty", "--tags"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gib() -> float:
    first = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()[0]
    return int(first.split()[1]) / KIB_PER_GIB


def _server(name: str) -> str:
    try:
        done = subprocess.run(
            [program(name), SERVERS[name]], capture_output=True, text=True, check=False
        )
    except MissingError as error:
        return str(error)
    return done.stdout.partition("\n")[0].partition(" sha=")[0]
