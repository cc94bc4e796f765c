"""The shipped configurations of Redis and mosquitto, each in a real server."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
import redis
from paho.mqtt.enums import CallbackAPIVersion
from support.mosquitto import Mosquitto, set_password
from support.ports import free_port
from support.waiting import LIMIT_S, eventually

CONFIG = Path(__file__).parents[2] / "config"


@pytest.fixture
def shipped_redis(tmp_path: Path) -> Iterator["redis.Redis"]:
    port = free_port()
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    assert program, "install redis-server"
    command = [program, str(CONFIG / "redis.conf"), "--port", str(port)]
    with subprocess.Popen([*command, "--dir", str(tmp_path), "--loglevel", "warning"]) as process:
        client = redis.Redis(port=port, decode_responses=True)
        eventually(lambda: answers(client), what="redis-server answers")
        yield client
        client.close()
        process.terminate()
        process.wait(LIMIT_S)


def answers(client: "redis.Redis") -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def test_redis_keeps_nothing_and_drops_results_before_it_refuses(
    shipped_redis: "redis.Redis",
) -> None:
    said = shipped_redis.config_get("*")
    assert said["save"] == ""
    assert said["appendonly"] == "no"
    assert said["maxmemory-policy"] == "volatile-lru"
    assert said["maxmemory"] == str(64 * 1024 * 1024)
    assert said["bind"] == "127.0.0.1 -::1"


@pytest.fixture
def shipped_mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    passwords = tmp_path / "passwd"
    set_password(passwords, "esquirell", "p@ss $#=")
    text = (CONFIG / "mosquitto.conf").read_text()
    text = text.replace("/etc/mosquitto/passwd", str(passwords))
    text = text.replace("/var/lib/mosquitto", str(tmp_path))
    lines = [line for line in text.splitlines() if line != "listener 1883"]
    broker = Mosquitto(tmp_path, lines)
    broker.start()
    yield broker
    broker.stop()


def connect(broker: Mosquitto, username: str | None, password: str | None) -> str:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    reasons: list[str] = []
    client.on_connect = lambda *arguments: reasons.append(str(arguments[3]))
    client.username_pw_set(username, password)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    eventually(lambda: reasons, what="mosquitto answers")
    client.disconnect()
    client.loop_stop()
    return reasons[0]


def test_mosquitto_accepts_a_password_over_mqtt_5(shipped_mosquitto: Mosquitto) -> None:
    assert connect(shipped_mosquitto, "esquirell", "p@ss $#=") == "Success"
    assert connect(shipped_mosquitto, "esquirell", "wrong") == "Not authorized"
    assert connect(shipped_mosquitto, None, None) == "Not authorized"


def test_mosquitto_keeps_its_state_over_a_restart(
    shipped_mosquitto: Mosquitto, tmp_path: Path
) -> None:
    # It listens a moment before it minds signals.
    assert connect(shipped_mosquitto, "esquirell", "p@ss $#=") == "Success"
    shipped_mosquitto.stop()
    assert (tmp_path / "mosquitto.db").is_file()
