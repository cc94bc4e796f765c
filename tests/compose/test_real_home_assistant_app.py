"""The Home Assistant app in a real container, started and backed up as the Supervisor does.

`make docker`. On the network that Home Assistant has: the Supervisor at 172.30.32.2, and the app on
the host's network, which it reaches at 172.30.32.1.
"""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from support.compose import ROOT
from support.compose_stack import needs_docker
from support.ports import free_port
from support.service import KEY, simulated
from support.supervisor import TOKEN
from support.waiting import eventually

from esquirell.tuya.simulator import SimulatedMeter
from esquirell.web.server import INGRESS_PORT

pytestmark = needs_docker

IMAGE = "esquirell-test-app"
SUPERVISOR, GATEWAY = "172.30.32.2", "172.30.32.1"
LOGIN = {"username": "addons", "password": "m0squ1tt0-p4ssw0rd"}
# Runs in the Supervisor's container, as only requests from its address are answered.
ASK = f"""
import http.client, re, sys, urllib.parse
cookies = {{}}
def ask(method, path, body=None, kind="text/plain"):
    connection = http.client.HTTPConnection("{GATEWAY}", {INGRESS_PORT}, timeout=30)
    jar = "; ".join(f"{{name}}={{value}}" for name, value in cookies.items())
    sent = {{"X-Ingress-Path": "/api/hassio_ingress/x", "Cookie": jar, "Content-Type": kind}}
    connection.request(method, path, body, sent)
    answer = connection.getresponse()
    for line in answer.headers.get_all("Set-Cookie") or []:
        name, _, value = line.partition(";")[0].partition("=")
        cookies[name] = value
    return answer.status, answer.read().decode()
if len(sys.argv) == 2:
    status, text = ask("GET", sys.argv[1])
else:
    token = re.search('name="_xsrf" value="([^"]+)"', ask("GET", "/schedules")[1])[1]
    form = urllib.parse.parse_qsl(sys.argv[2]) + [("_xsrf", token)]
    kind = "application/x-www-form-urlencoded"
    status, text = ask("POST", sys.argv[1], urllib.parse.urlencode(form), kind)
print(status, text)
"""


class House:
    """An engine with what Home Assistant has on it."""

    def __init__(self, folder: Path) -> None:
        self.data, self.config = folder / "data", folder / "config"
        self.folder = folder
        self.supervisor = "esquirell-test-supervisor"
        self.app = "esquirell-test-app-container"
        self.broker = "esquirell-test-core-mosquitto"
        self.network = "esquirell-test-hassio"

    def docker(self, *words: str, check: bool = True) -> str:
        done = subprocess.run(
            [shutil.which("docker") or "docker", *words],
            check=False,
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def build(self) -> None:
        source = self.folder / "esquirell"
        subprocess.run([ROOT / "script" / "home-assistant-app", source], check=True, timeout=60)
        arguments = ("--build-arg", "BUILD_VERSION=0.1.0", "--build-arg", "BUILD_ARCH=amd64")
        self.docker("build", "--quiet", "--tag", IMAGE, *arguments, str(source))

    def begin(self) -> None:
        """Start broker and Supervisor."""
        for folder in (self.data, self.config):
            folder.mkdir()
        self.docker("network", "create", "--subnet", "172.30.32.0/23", self.network)
        (self.folder / "mosquitto.conf").write_text(
            "listener 1883\nallow_anonymous false\npassword_file /tmp/passwd\nuser root\n"
        )
        begin = (
            f"mosquitto_passwd -b -c /tmp/passwd {LOGIN['username']} {LOGIN['password']} && "
            "exec mosquitto -c /etc/mosquitto.conf"
        )
        mounted = f"{self.folder}/mosquitto.conf:/etc/mosquitto.conf:ro"
        common = ("--detach", "--network", self.network, "--user", "0:0")
        run = ("run", *common, "--ip", "172.30.33.5", "--name", self.broker, "--volume", mounted)
        self.docker(*run, "--entrypoint", "sh", "eclipse-mosquitto:2", "-c", begin)
        said = json.dumps({"host": "172.30.33.5", "port": 1883, "ssl": False, **LOGIN})
        mounted = f"{ROOT}/tests/support/supervisor.py:/supervisor.py:ro"
        run = ("run", *common, "--ip", SUPERVISOR, "--name", self.supervisor, "--volume", mounted)
        self.docker(*run, "python:3.13-slim", "python", "/supervisor.py", said)

    def start(self) -> None:
        """Start the app, and wait until it works."""
        self.run()
        begun = ("connected to the MQTT broker", "the page is", "up as worker")
        eventually(lambda: all(one in self.log for one in begun), what=lambda: self.log)

    def refuses(self) -> int:
        """Start the app, which ends by itself; return its exit code."""
        self.run()
        return int(self.docker("wait", self.app))

    def run(self) -> None:
        """Start the app with what config.yaml asks for."""
        (self.data / "options.json").write_text('{"log_level": "info"}')
        asked = yaml.safe_load((ROOT / "home-assistant-app" / "config.yaml").read_text())
        assert asked["host_network"]
        given = [f"SUPERVISOR_TOKEN={TOKEN}", "TZ=Europe/Warsaw"]
        self.docker(
            *("run", "--detach", "--name", self.app, "--init", "--network", "host"),
            *("--hostname", "local-esquirell", "--add-host", f"supervisor:{SUPERVISOR}"),
            *(word for one in given for word in ("--env", one)),
            *("--volume", f"{self.data}:/data", "--volume", f"{self.config}:/config"),
            *("--tmpfs", "/tmp", "--stop-timeout", str(asked["timeout"]), IMAGE),  # noqa: S108 - in the container
        )

    def end(self) -> int:
        """Stop and remove the app; return its exit code."""
        self.docker("stop", self.app)
        code = self.docker("inspect", "--format", "{{.State.ExitCode}}", self.app)
        self.docker("rm", self.app)
        return int(code)

    def clear(self) -> None:
        """Leave nothing behind, of an earlier run either."""
        self.docker("rm", "--force", self.app, self.broker, self.supervisor, check=False)
        self.docker("network", "rm", self.network, check=False)

    def inside(self, *words: str) -> str:
        return self.docker("exec", self.app, *words)

    def ingress(self, *words: str) -> str:
        return self.docker("exec", self.supervisor, "python", "-c", ASK, *words)

    @property
    def log(self) -> str:
        return self.docker("logs", self.app)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("house"))
    house.clear()
    house.build()
    try:
        house.begin()
        yield house
    finally:
        house.clear()


@pytest.fixture
def meter() -> Iterator[SimulatedMeter]:
    meter = simulated("main", port=free_port())
    yield meter
    meter.stop()


def copied(house: House) -> dict[str, bytes]:
    """Copy what the Supervisor would: files of /data that config.yaml does not exclude."""
    config = yaml.safe_load((ROOT / "home-assistant-app" / "config.yaml").read_text())
    return {
        str(file.relative_to(house.data)): file.read_bytes()
        for file in house.data.rglob("*")
        if file.is_file()
        and not any(
            part.match(pattern)
            for part in (file, *file.relative_to(house.data).parents)
            for pattern in config["backup_exclude"]
        )
    }


def back_up(house: House) -> dict[str, bytes]:
    """Copy while the app runs, between the commands that it asks for."""
    config = yaml.safe_load((ROOT / "home-assistant-app" / "config.yaml").read_text())
    house.inside(*config["backup_pre"].split())
    kept = copied(house)
    house.inside(*config["backup_post"].split())
    return kept


def put_back(house: House, kept: dict[str, bytes]) -> None:
    """Restore a backup as the Supervisor does: all is root's, and nothing else is there."""
    shutil.rmtree(house.data)
    for name, content in kept.items():
        file = house.data / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="looks into root's folder")
def test_from_installation_to_a_restored_backup(house: House, meter: SimulatedMeter) -> None:
    house.start()
    assert house.ingress("/").startswith("200 ")
    form = (
        "command=meter/add&place=form&device_id=id-main&name=main&address=127.0.0.1&protocol=3.4"
        f"&profile=owon_pc321&local_key={KEY}&port={meter.port}"
    )
    assert house.ingress("/add", form).startswith("303 ")
    user = ("-u", LOGIN["username"], "-P", LOGIN["password"])
    topic = ("-t", "esquirell/meter/main/state", "-C", "1", "-W", "30")
    state = house.docker("exec", house.broker, "mosquitto_sub", *user, *topic)
    assert json.loads(state)["energy_import"] == 1064.21
    readings = ("app", "--json", "readings", "main")
    before = eventually(lambda: json.loads(house.inside(*readings)), 120)
    assert '"healthy": true' in house.ingress("/api/v1/health")
    status = house.inside("sh", "-c", "cat /proc/$(pidof -s redis-server)/status")
    assert re.search(r"^Uid:\s+1000\s", status, re.MULTILINE)
    assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
    kept = back_up(house)
    assert not (house.data / "home-assistant.backup").exists()
    said = house.log
    assert house.end() == 0
    for secret in (TOKEN, LOGIN["password"], KEY):
        assert secret not in said

    # Files that were copied while they were written to may be damaged; the archive is whole.
    assert {"home-assistant.backup", "esquirell.db"} <= set(kept)
    put_back(house, kept | {"esquirell.db": b"torn", "esquirell.db-wal": b"as well"})
    house.start()
    assert "the restored backup are in place" in house.log
    eventually(lambda: "meters: 1" in house.log, what=lambda: house.log)
    assert json.loads(house.inside(*readings))[: len(before)] == before
    assert house.end() == 0
    names = {file.name for file in house.data.iterdir()}
    assert not [
        name for name in names if name.startswith(("home-assistant", "replaced", "backing"))
    ]

    move_in(house, kept["home-assistant.backup"])
    assert json.loads(house.inside(*readings))[: len(before)] == before
    assert house.end() == 0

    # An app that does not run is copied as it is.
    put_back(house, copied(house))
    house.start()
    assert len(json.loads(house.inside(*readings))) > len(before)
    # A backup that ended abruptly leaves an older archive, which counts for nothing.
    house.inside("app", "backup")
    assert house.end() == 0
    count = len(stored(house))
    house.start()
    assert "the restored backup" not in house.log
    assert house.end() == 0
    assert len(stored(house)) > count
    assert not (house.data / "home-assistant.backup").exists()


def move_in(house: House, archive: bytes) -> None:
    """Start with what was measured on another machine; a file that is none is refused."""
    shutil.rmtree(house.data)
    house.data.mkdir()
    moved_in = house.config / "esquirell.backup"
    moved_in.write_bytes(b"no archive")
    assert house.refuses() == 2
    assert "esquirell.backup" in house.log
    house.docker("rm", house.app)
    moved_in.write_bytes(archive)
    house.start()
    assert {file.name for file in house.config.iterdir()} == {"esquirell.backup.restored"}


def stored(house: House) -> list[object]:
    with closing(sqlite3.connect(house.data / "esquirell.db")) as connection:
        return connection.execute("SELECT measured_at FROM reading").fetchall()
