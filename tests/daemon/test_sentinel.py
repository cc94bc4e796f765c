"""Redis behind Sentinel: a real master, a replica and two Sentinels."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from support.mosquitto import Mosquitto
from support.ports import free_port
from support.service import Service, configuration, meter_table
from support.waiting import eventually

from esquirell.tuya.simulator import SimulatedMeter

PASSWORD = "p@ss:w/rd"
WATCHER = "w@tch"


class Watched:
    """A master, its replica, and the Sentinels that put the one in the other's place."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self.master, self.replica = free_port(), free_port()
        self.sentinels = [free_port(), free_port()]

    def start(self) -> None:
        self._redis(self.master, "")
        self._redis(self.replica, f"replicaof 127.0.0.1 {self.master}\n")
        for port in self.sentinels:
            self._sentinel(port)

    def kill(self, port: int) -> None:
        process = self._processes.pop(port)
        process.kill()
        process.wait(10)

    def stop(self) -> None:
        for port in list(self._processes):
            self.kill(port)

    def ready(self) -> bool:
        """Return whether each Sentinel knows the replica and the other Sentinel."""
        states = [self._state(port) for port in self.sentinels]
        return all(one["num-slaves"] == one["num-other-sentinels"] == 1 for one in states)

    def _state(self, port: int) -> dict[str, Any]:
        with redis.Redis(port=port, password=WATCHER) as client:
            found: dict[str, Any] = client.sentinel_master("house")
        return found

    def _redis(self, port: int, more: str) -> None:
        access = f'requirepass "{PASSWORD}"\nmasterauth "{PASSWORD}"\n'
        text = f'port {port}\nbind 127.0.0.1\nsave ""\nrepl-diskless-sync-delay 0\n{access}{more}'
        self._run(port, text)

    def _sentinel(self, port: int) -> None:
        watch = f"""
port {port}
bind 127.0.0.1
requirepass "{WATCHER}"
sentinel sentinel-pass {WATCHER}
sentinel monitor house 127.0.0.1 {self.master} 2
sentinel auth-pass house {PASSWORD}
sentinel down-after-milliseconds house 1000
sentinel failover-timeout house 5000
"""
        self._run(port, watch, "--sentinel")

    def _run(self, port: int, text: str, *options: str) -> None:
        program = shutil.which("redis-server")
        assert program
        file = self._folder / f"{port}.conf"
        file.write_text(f"dir {self._folder}\nloglevel warning\n{text}")
        self._processes[port] = subprocess.Popen([program, str(file), *options])


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    if shutil.which("redis-server") is None:
        pytest.skip("valkey's own Sentinel is another program")
    servers = Watched(tmp_path)
    servers.start()
    yield servers
    servers.stop()


def test_the_service_follows_the_master(
    watched: Watched, broker: Mosquitto, device: SimulatedMeter, start: Callable[..., Service]
) -> None:
    hosts = ",".join(f"127.0.0.1:{port}" for port in watched.sentinels)
    table = meter_table("main", device.port)
    config = configuration(
        [f"redis.password = '{PASSWORD}'", f"redis.sentinel_password = '{WATCHER}'", table],
        mqtt_port=broker.port,
        redis_url=f"redis+sentinel://{hosts}/house/0",
    )
    service = start(config)
    eventually(lambda: service.readings() >= 2, what=lambda: service.log)
    # The Sentinels look for replicas and for each other every few seconds.
    eventually(watched.ready)
    watched.kill(watched.master)
    eventually(lambda: "Redis works again" in service.log, what=lambda: service.log)
    before = service.readings()
    eventually(lambda: service.readings() >= before + 3, what=lambda: service.log)
    assert service.stop() == 0
    assert PASSWORD not in service.log
    assert WATCHER not in service.log
