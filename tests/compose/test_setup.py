"""The passwords that are made for docker compose, and who gets which."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from support.compose import ROOT
from support.ports import free_port
from support.waiting import LIMIT_S, eventually

VOLUMES = ("credentials", "redis", "redis-socket", "mosquitto", "postgres", "state", "demo")
SHARED = {f"{name}__password" for name in ("redis", "mqtt", "database", "web", "flower")}


class Setup:
    def __init__(self, root: Path) -> None:
        self.root = root
        for name in (*VOLUMES, "own"):
            (root / name).mkdir(parents=True)
        shutil.copytree(ROOT / "config", root / "config")

    def run(self, *words: str, owner: str = "") -> subprocess.CompletedProcess[str]:
        me = owner or f"{os.getuid()}:{os.getgid()}"
        services = ("ESQUIRELL", "REDIS", "MOSQUITTO", "POSTGRES")
        environment = {f"OWNER_{one}": me for one in services}
        command = [sys.executable, "-I", str(ROOT / "docker/setup.py"), "--root", str(self.root)]
        return subprocess.run(
            [*command, *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    def make(self) -> None:
        done = self.run()
        assert done.returncode == 0, done.stderr

    def read(self, file: str) -> str:
        return (self.root / file).read_text()


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path / "setup")


def test_passwords_are_made_once_and_are_all_different(setup: Setup) -> None:
    setup.make()
    made = {name: setup.read(f"credentials/{name}") for name in SHARED}
    assert len({*made.values()}) == len(SHARED)
    assert all(len(password) >= 16 for password in made.values())
    setup.make()
    assert {name: setup.read(f"credentials/{name}") for name in SHARED} == made
    assert setup.read("postgres/password") == made["database__password"]


def test_files_are_for_their_owner_alone(setup: Setup) -> None:
    setup.make()
    files = [file for name in VOLUMES for file in (setup.root / name).iterdir()]
    assert files
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o400}


def test_a_users_own_secrets_win_and_leave_with_their_files(setup: Setup) -> None:
    setup.make()
    key = setup.root / "own/meters__main__local_key"
    key.write_text("0123$#=('456789a\n")
    (setup.root / "own/mqtt__password").write_text("pa ss\n")
    (setup.root / "own/mqtt_homeassistant").write_text("mine\n")
    setup.make()
    assert setup.read("credentials/meters__main__local_key") == "0123$#=('456789a"
    assert setup.read("credentials/mqtt__password") == "pa ss"
    assert "user homeassistant: mine" in setup.run("show").stdout
    assert not (setup.root / "credentials/mqtt_homeassistant").exists()
    key.unlink()
    setup.make()
    assert not (setup.root / "credentials/meters__main__local_key").exists()


def test_an_invalid_secret_is_refused_in_one_sentence(setup: Setup) -> None:
    (setup.root / "own/mqtt__password").write_text("\n")
    done = setup.run()
    assert done.returncode == 2
    assert done.stderr == "setup: secrets/mqtt__password must hold one line, the secret\n"
    (setup.root / "own/mqtt__password").unlink()
    done = setup.run(owner="pi:pi")
    assert done.returncode == 2
    assert done.stderr == "setup: ESQUIRELL_USER must be two numbers, as in 1000:1000, not pi:pi\n"


def test_nothing_is_reported_unless_asked(setup: Setup) -> None:
    made = setup.run()
    assert made.stdout == "setup: every service has its passwords\n"
    shown = setup.run("show").stdout
    page, flower = (setup.read(f"credentials/{name}__password") for name in ("web", "flower"))
    assert f"the page, http://localhost:8155: {page}\n" in shown
    assert f"Flower, http://localhost:5555, user esquirell: {flower}\n" in shown
    assert setup.read("credentials/redis__password") not in shown


@pytest.fixture
def redis_port(setup: Setup) -> Iterator[int]:
    (setup.root / "own/redis__password").write_text('p"a\\s s#')
    setup.make()
    port = free_port()
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    assert program, "install redis-server"
    socket = str(setup.root / "r.sock")
    changed = ["--port", str(port), "--bind", "127.0.0.1", "--unixsocket", socket]
    config = str(setup.root / "redis/redis.conf")
    process = subprocess.Popen([program, config, *changed], cwd=setup.root)
    yield port
    process.terminate()
    process.wait(LIMIT_S)


def test_redis_takes_its_configuration_and_any_password(setup: Setup, redis_port: int) -> None:
    password = setup.read("redis/password")
    assert password == 'p"a\\s s#'

    def answers() -> bool:
        with redis.Redis(port=redis_port, password=password) as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

    eventually(answers)
    with redis.Redis(port=redis_port) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_the_broker_knows_its_users(setup: Setup) -> None:
    (setup.root / "own/mqtt__password").write_text("pä ss:$1")
    setup.make()
    port = free_port()
    config = setup.root / "mosquitto.conf"
    access = setup.root / "mosquitto"
    shipped = (ROOT / "docker/mosquitto.conf").read_text()
    changed = shipped.replace("/run/access", str(access)).replace(
        "listener 1883", f"listener {port}"
    )
    owner = "user root\n" if os.geteuid() == 0 else ""
    config.write_text(owner + changed.replace("persistence true", "persistence false"))
    # Debian has it where only root looks.
    program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "install mosquitto"
    process = subprocess.Popen([program, "-c", str(config)])
    try:
        eventually(lambda: subscribes(port, "-u", "esquirell", "-P", "pä ss:$1"))
        assert not subscribes(port, "-u", "esquirell", "-P", "wrong")
        assert not subscribes(port)
        # As the health check does: user and password come from a file.
        assert subscribes(port, config=access)
    finally:
        process.terminate()
        process.wait(LIMIT_S)


def subscribes(port: int, *user: str, config: Path = Path("/nonexistent")) -> bool:
    command = ["mosquitto_sub", "-V", "5", "-p", str(port), "-t", "esquirell/bridge/state", "-E"]
    environment = os.environ | {"XDG_CONFIG_HOME": str(config)}
    done = subprocess.run(
        [*command, "-W", "30", *user],
        env=environment,
        capture_output=True,
        timeout=LIMIT_S,
        check=False,
    )
    return done.returncode == 0
