"""A running Flower as a browser or a script sees it, and the house that it looks at."""

import json
import subprocess
import sys
import urllib.parse
from base64 import b64encode
from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

from support.ports import free_port
from support.redis_server import RedisProcess
from support.service import END_S, Service, meter_table
from support.tuya_devices import FakeDevice
from support.waiting import eventually

from esquirell.tuya.simulator import SimulatedMeter

LOCAL_KEY = "k3y$#='(0123;\"ab"
REDIS_PASSWORD = "redis-pass-word-1"
MQTT_PASSWORD = "mqtt-pass-word-1"
ARGUMENT = "argument-pass-word-1"
PASSWORD = "flower-pass-word-1"
SECRETS = (LOCAL_KEY, REDIS_PASSWORD, MQTT_PASSWORD, ARGUMENT, PASSWORD)
# The machine may have much else to do.
LIMIT_S = 60.0
FETCH = "esquirell.tasks.fetch_and_save_energy_data"

TASKS = """
import os
import signal
import time

from celery import shared_task
from pydantic import BaseModel

from esquirell.tasks import end_if_cancelled, schedulable


class Arguments(BaseModel):
    seconds: float
    api_token: str = ""


@schedulable(Arguments)
@shared_task
def sleep(seconds, api_token=""):
    time.sleep(seconds)
    return {"slept": seconds, "password": api_token}


@shared_task(bind=True)
def look(self, seconds: float):
    for _ in range(int(seconds * 20)):
        end_if_cancelled(self.request.id)
        time.sleep(0.05)


@shared_task
def add(x: int, y: int = 1):
    return x + y


@schedulable(False)
@shared_task
def secret():
    return "secret"


@schedulable()
@shared_task
def die():
    os.kill(os.getpid(), signal.SIGKILL)
"""


class Reply(NamedTuple):
    status: int
    text: str
    fields: tuple[tuple[str, str], ...]

    @property
    def headers(self) -> Mapping[str, str]:
        return dict(self.fields)

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON is anything
        return json.loads(self.text)


class Pages:
    """Asks for pages, as a user with a password, or without one."""

    def __init__(
        self, port: int, prefix: str = "", password: str = PASSWORD, address: str = "127.0.0.1"
    ) -> None:
        self.port = port
        self._prefix = prefix
        self._password = password
        self._address = address
        self.headers: dict[str, str] = {}

    def get(self, path: str) -> Reply:
        return self._ask("GET", path)

    def post(self, path: str, **fields: object) -> Reply:
        return self._ask("POST", path, urllib.parse.urlencode(fields))

    def send(self, task: str, **kwargs: object) -> str:
        body = json.dumps({"kwargs": kwargs})
        reply = self._ask("POST", f"/api/task/send-task/{task}", body)
        return str(reply.json["task-id"])

    def call(self, way: str, task: str, *args: object, **kwargs: object) -> Reply:
        """Run a task by a way of Flower's API."""
        body = json.dumps({"args": args, "kwargs": kwargs})
        return self._ask("POST", f"/api/task/{way}/{task}", body)

    def task(self, task_id: str) -> Mapping[str, Any]:
        reply = self.get(f"/api/task/info/{task_id}")
        return dict(reply.json) if reply.status == 200 else {"state": None}

    def await_state(self, task_id: str, state: str) -> Mapping[str, Any]:
        eventually(lambda: self.task(task_id)["state"] == state, LIMIT_S, f"{task_id} is {state}")
        return self.task(task_id)

    def tasks(self) -> dict[str, Any]:
        return dict(self.get("/api/tasks").json)

    def of(self, name: str, state: str) -> str:
        """Wait for a task of this name in this state, and return its id."""
        query = urllib.parse.urlencode({"taskname": name, "state": state})
        found = eventually(lambda: self.get(f"/api/tasks?{query}").json, LIMIT_S, f"{name} {state}")
        return str(next(iter(found)))

    def inspect(self, worker: str) -> Mapping[str, Any]:
        reply = self.get(f"/api/workers?refresh=1&workername={worker}")
        return dict(reply.json[worker])

    def await_worker(self) -> str:
        def known() -> str | None:
            workers = self.get("/api/workers").json
            return next((name for name, told in workers.items() if "conf" in told), None)

        return str(eventually(known, LIMIT_S, "the worker is known to Flower"))

    def _ask(self, method: str, path: str, body: str | None = None) -> Reply:
        headers = dict(self.headers)
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        if self._password:
            pair = b64encode(f"esquirell:{self._password}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
        line = HTTPConnection(
            "127.0.0.1", self.port, timeout=LIMIT_S, source_address=(self._address, 0)
        )
        with closing(line) as connection:
            connection.request(method, self._prefix + path, body, headers)
            answer = connection.getresponse()
            return Reply(answer.status, answer.read().decode(), tuple(answer.getheaders()))


class House:
    """A worker with two meters, of which `hung` never answers, and Flower beside it."""

    def __init__(
        self, folder: Path, redis: RedisProcess, meter: SimulatedMeter, hung: FakeDevice
    ) -> None:
        self.folder = folder
        self.redis = redis
        self.port = free_port()
        (folder / "slow_tasks.py").write_text(TASKS)
        self._lines = [
            'timezone = "UTC"',
            f'redis.url = "{redis.url}"',
            f'redis.password = "{REDIS_PASSWORD}"',
            'mqtt.username = "u"',
            f'mqtt.password = "{MQTT_PASSWORD}"',
            "mqtt.port = 1",
            'tasks.modules = ["slow_tasks"]',
            f"flower.port = {self.port}",
            meter_table("main", meter.port).replace("'0123456789abcdef'", json.dumps(LOCAL_KEY)),
            meter_table("hung", hung.port),
        ]
        self.services: list[Service] = []

    def start(self, role: str, name: str = "", **flower: str | int | bool) -> Service:
        """Start a role; `flower` are settings of its section."""
        own = [f"flower.{key} = {json.dumps(value)}" for key, value in flower.items()]
        service = Service(self.folder, "\n".join([*own, *self._lines]), role, name or role)
        service.start()
        self.services.append(service)
        return service

    def flower(self, **settings: str | int | bool) -> tuple[Service, Pages]:
        """Start Flower and wait until it answers."""
        service = self.start(
            "flower", f"flower{len(self.services)}", **({"password": PASSWORD} | settings)
        )
        prefix = str(settings.get("url_prefix", "")).rstrip("/")
        pages = Pages(self.port, prefix, str(settings.get("password", PASSWORD)))
        eventually(lambda: "up as flower" in service.log, LIMIT_S, "Flower is up")
        return service, pages

    def fetch(self, *meters: str) -> "subprocess.Popen[str]":
        """Ask the worker for a fetch, as a user does."""
        return self.ask("fetch", *meters)

    def ask(self, *words: str) -> "subprocess.Popen[str]":
        """Return a command, as a user does."""
        config = str(self.folder / "esquirell.toml")
        command = [sys.executable, "-m", "esquirell", "--config", config, *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)

    def close(self) -> None:
        for service in self.services:
            service.kill()


def said(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Wait for the end of a command; return its exit code and what it said on stderr."""
    _, err = process.communicate(timeout=END_S * 4)
    return process.returncode, err
