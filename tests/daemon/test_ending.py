"""The end of a service: within seconds, and nothing stays behind, whatever a user's task does."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from support.cli import esquirell_process
from support.redis_server import RedisProcess
from support.service import Service, configuration, meter_table
from support.waiting import eventually

TASKS = """
import time
from pathlib import Path

from celery import shared_task


@shared_task
def sleep(sign: str):
    Path(sign).touch()
    time.sleep(60)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "my_tasks.py").write_text(TASKS)
    return tmp_path


def _busy(service: Service, home: Path) -> None:
    """Have the service run a task that takes a minute."""
    eventually(lambda: "up as worker" in service.log, what=lambda: service.log)
    sign = home / "begun"
    args = f'{{"sign": "{sign}"}}'
    schedule = ("schedule", "add", "sleep", "--every", "3600", "--task", "my_tasks.sleep")
    said = esquirell_process(*schedule, "--args", args, "--config", str(service.config))
    assert said.code == 0, said.err
    eventually(sign.exists, what=lambda: service.log)


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_an_own_redis_ends_with_the_service(
    home: Path, start: Callable[..., Service], number: signal.Signals
) -> None:
    config = configuration([meter_table("main", 1)], mqtt_port=1, every=60)
    service = start(f'tasks.modules = ["my_tasks"]\n{config}')
    _busy(service, home)
    with redis.Redis(unix_socket_path=str(home / "data" / "redis.sock")) as client:
        server = int(client.info()["process_id"])
    service.signal(number)
    assert service.wait() == (-signal.SIGKILL if number == signal.SIGKILL else 0)
    eventually(lambda: not _lives(server), what="the server has ended")
    if number != signal.SIGKILL:
        assert "ended without waiting any longer for my_tasks.sleep (" in service.log
    assert "shutdown" not in service.log
    assert "Ctrl" not in service.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_processes_of_a_pool_end_with_their_worker(
    home: Path, server: RedisProcess, start: Callable[..., Service], number: signal.Signals
) -> None:
    config = configuration([meter_table("main", 1)], mqtt_port=1, redis_url=server.url, every=60)
    config = f'tasks.modules = ["my_tasks"]\n{config}'
    start(config, "beat")
    worker = start(config, "worker --pool prefork --concurrency 2")
    _busy(worker, home)
    assert worker.process
    pid = worker.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert len(children) > 1
    worker.signal(number)
    worker.wait()
    eventually(lambda: not any(_lives(int(child)) for child in children), what="all have ended")
