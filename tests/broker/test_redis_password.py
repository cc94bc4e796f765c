"""Redis with a password: as Celery, RedBeat and our own client reach it."""

import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from celery import Celery
from redbeat.schedulers import get_redis
from support.ports import free_port
from support.waiting import LIMIT_S, eventually

from esquirell.broker.celery_config import celery_config
from esquirell.broker.connection import Address, RedisError, connect
from esquirell.broker.queue import queue_key
from esquirell.runtime.connections import celery_settings
from esquirell.runtime.root import Runtime
from esquirell.settings import load

PASSWORD = "p@ss:w/rd#%?"


class Guarded:
    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        # The kernel limits the path of a socket to 107 bytes.
        self.socket = folder / "r.sock"
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        assert program, "install redis-server"
        file = folder / "redis.conf"
        file.write_text(
            f'port {self.port}\nbind 127.0.0.1\nsave ""\nloglevel warning\ndir {folder}\n'
            f'unixsocket {self.socket}\nrequirepass "{PASSWORD}"\n'
        )
        self.process = subprocess.Popen([program, str(file)])
        eventually(self._answers)

    def _answers(self) -> bool:
        try:
            return bool(connect(Address(f"unix://{self.socket}?db=0", PASSWORD)).ping())
        except RedisError:
            return False


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    server = Guarded(tmp_path)
    yield server
    server.process.terminate()
    server.process.wait(LIMIT_S)


@pytest.mark.parametrize("way", ["redis://127.0.0.1:{port}/0", "unix://{socket}?db=0"])
def test_celery_reaches_it_and_shows_no_password(guarded: Guarded, way: str) -> None:
    url = way.format(port=guarded.port, socket=guarded.socket)
    app = Celery("test", set_as_current=False)
    app.conf.update(celery_config(Address(url, PASSWORD), "UTC", timedelta(hours=1)))
    app.send_task("some.task")
    assert connect(Address(url, PASSWORD)).llen(queue_key("tasks")) == 1
    assert PASSWORD not in app.conf.humanize(with_defaults=False)
    app.close()


def test_redbeat_reaches_it_in_every_role(
    guarded: Guarded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "esquirell.toml"
    url = f"redis://127.0.0.1:{guarded.port}/0"
    config.write_text(f"timezone = 'UTC'\nredis.url = '{url}'\nredis.password = '{PASSWORD}'\n")
    config.chmod(0o600)
    monkeypatch.setenv("ESQUIRELL_CONFIG", str(config))
    app = Celery("test", set_as_current=False)
    app.add_defaults(celery_settings)
    Runtime(load(), app).shared.timetable.announce()
    assert get_redis(app).get("esquirell:schedules:version") == "1"
    app.close()
