"""A worker whose threads are all held by tasks that never end, beside another worker."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from support.redis_server import RedisProcess
from support.service import Service
from support.waiting import eventually

from esquirell.broker.processes import Presence
from esquirell.daemon.celery_worker import others_have_room
from esquirell.domain.process import Process

TASKS = """
import pathlib
import time

from celery import shared_task


@shared_task
def hold(folder: str):
    pathlib.Path(folder, "held").touch()
    while not pathlib.Path(folder, "end").exists():
        time.sleep(0.1)


@shared_task
def add(x: int):
    return x + 1
"""

HOLD = """
import esquirell.celery
from my_tasks import hold
hold.apply_async(["{folder}"], ignore_result=True)
"""

# Half of them go to either worker at first.
ADD = """
import esquirell.celery
from my_tasks import add
sent = [add.apply_async([x], queue=queue) for x in range(4) for queue in ("commands", "tasks")]
print([one.get(timeout=60) for one in sent])
"""


def in_a_shell(service: Service, text: str) -> str:
    environment = os.environ | {"ESQUIRELL_CONFIG": str(service.config)}
    command = [sys.executable, "-c", text]
    run = subprocess.run(
        command, cwd=service.folder, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_what_waits_in_it_goes_to_the_other(
    start: Callable[..., Service], config: str, tmp_path: Path
) -> None:
    (tmp_path / "my_tasks.py").write_text(TASKS)
    config = f'tasks.modules = ["my_tasks"]\nworker.concurrency = 1\n{config}'
    first = start(config, "worker", "first")
    eventually(lambda: "up as worker" in first.log, what=lambda: first.log)
    in_a_shell(first, HOLD.format(folder=tmp_path))
    eventually((tmp_path / "held").exists, what=lambda: first.log)
    second = start(config, "worker", "second")
    eventually(lambda: "up as worker" in second.log, what=lambda: second.log)
    try:
        assert in_a_shell(second, ADD) == "[1, 1, 2, 2, 3, 3, 4, 4]\n"
    finally:
        (tmp_path / "end").touch()
    assert "Traceback" not in first.log + second.log


def test_it_keeps_what_waits_while_the_other_is_full_too(server: RedisProcess) -> None:
    here = Process("here", ("worker",), "2026-11-22T10:15:00Z", full=True)
    other = Process("there", ("worker", "beat"), "2026-11-22T10:15:00Z")
    presence, others = Presence(server.client, "here"), Presence(server.client, "there")
    presence.announce(here, here.roles)
    assert not others_have_room(presence, here)
    for is_full in (False, True):
        others.announce(replace(other, full=is_full), other.roles)
        assert others_have_room(presence, here) != is_full
    server.kill()
    assert not others_have_room(presence, here)
