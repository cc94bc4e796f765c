"""A password of Redis that is changed while a service runs."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.mosquitto import Mosquitto
from support.redis_server import RedisProcess
from support.service import Service, configuration, meter_table
from support.waiting import eventually

from esquirell.daemon.lifecycle import LOOK_EVERY_S, RESTART_EXIT_CODE, Renewal
from esquirell.domain.errors import ConfigError
from esquirell.tuya.simulator import SimulatedMeter


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[RedisProcess]:
    process = RedisProcess(tmp_path, "before")
    process.start()
    yield process
    process.stop()


def test_a_changed_password_of_redis_is_read_again(
    start: Callable[..., Service],
    guarded: RedisProcess,
    broker: Mosquitto,
    device: SimulatedMeter,
    tmp_path: Path,
) -> None:
    secret = tmp_path / "redis-password"
    secret.write_text("before")
    secret.chmod(0o600)
    table = meter_table("main", device.port)
    config = configuration([table], mqtt_port=broker.port, redis_url=guarded.url)
    service = start(f'redis.password_file = "{secret}"\n{config}')
    eventually(lambda: service.readings() > 1)
    assert service.process is not None
    number = service.process.pid
    guarded.client.config_set("requirepass", "after")
    guarded.client.client_kill_filter(_type="normal", skipme=True)
    eventually(lambda: "Redis refuses: " in service.log)
    secret.write_text("after")
    eventually(lambda: "restarting with the new one" in service.log)
    eventually(lambda: service.log.count("up as worker, beat, bridge") == 2)
    before = service.readings()
    eventually(lambda: service.readings() > before + 1)
    assert service.process.pid == number
    assert service.process.poll() is None
    assert service.stop() == 0
    assert "Traceback" not in service.log


def test_the_same_password_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    now, killed = [0.0], []
    monkeypatch.setattr("os.kill", lambda *what: killed.append(what))
    renewal = Renewal(lambda: now[0])

    def faulty() -> str:
        raise ConfigError("esquirell.toml is not valid TOML")

    renewal.refused("before", lambda: "before")
    renewal.refused("before", lambda: "after")
    assert not renewal.is_due, "it was looked at just now"
    now[0] += LOOK_EVERY_S
    renewal.refused("before", faulty)
    assert (renewal.is_due, renewal.code(0)) == (False, 0)
    now[0] += LOOK_EVERY_S
    renewal.refused("before", lambda: "after")
    assert (renewal.is_due, renewal.code(0), len(killed)) == (True, RESTART_EXIT_CODE, 1)
