"""The Redis that a service starts for itself."""

import os
import signal
from pathlib import Path

import pytest
import redis
from support.waiting import eventually

from esquirell.daemon import redis_server
from esquirell.daemon.redis_server import RedisServer, find_redis
from esquirell.domain.errors import ConfigError


def test_an_own_redis_starts_answers_and_ends(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis.sock")
    server.start()
    assert server.alive
    assert (tmp_path / "redis.sock").stat().st_mode & 0o077 == 0
    server.stop()
    assert not (tmp_path / "redis.sock").exists()
    assert not server.alive


def test_an_orphan_of_a_killed_service_is_replaced(tmp_path: Path) -> None:
    orphan, server = RedisServer(tmp_path / "redis.sock"), RedisServer(tmp_path / "redis.sock")
    orphan.start()
    server.start()
    eventually(lambda: not orphan.alive)
    assert server.alive
    server.stop()


def test_an_own_redis_whose_socket_was_deleted_is_restarted(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis.sock")
    server.start()
    (tmp_path / "redis.sock").unlink()
    server.keep_running()
    with redis.Redis(unix_socket_path=str(tmp_path / "redis.sock")) as client:
        assert client.ping()
    server.stop()


class Seconds:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_an_own_redis_that_hangs_is_restarted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seconds = Seconds()
    server = RedisServer(tmp_path / "redis.sock", seconds)
    server.start()
    with redis.Redis(unix_socket_path=str(tmp_path / "redis.sock")) as client:
        first = int(str(client.info()["process_id"]))
        os.kill(first, signal.SIGSTOP)
        # As if this process had been stopped as well: nobody was there to hear it.
        seconds.now += 60
        server.keep_running()
        assert "has not answered" not in caplog.text
        for _ in range(4):
            seconds.now += 5
            server.keep_running()
        assert caplog.text.count("has not answered for 20 s: it is restarted") == 1
        assert int(str(client.info()["process_id"])) != first
    server.stop()


# It is left to the system, which ends it at last.
@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_an_own_redis_that_does_not_even_end_when_killed_is_replaced_and_said_to_be_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = Seconds()
    server = RedisServer(tmp_path / "redis.sock", seconds)
    server.start()
    with redis.Redis(unix_socket_path=str(tmp_path / "redis.sock")) as client:
        first = int(str(client.info()["process_id"]))
        os.kill(first, signal.SIGSTOP)
        # As in a call of a disk that never answers, no signal comes through.
        monkeypatch.setattr("esquirell.daemon.redis_server.STOP_S", 0.1)
        monkeypatch.setattr("subprocess.Popen.kill", lambda _process: None)
        for _ in range(5):
            seconds.now += 5
            server.keep_running()
        assert int(str(client.info()["process_id"])) != first
    assert caplog.text.count(f"process {first} was killed and does not end") == 1
    monkeypatch.undo()
    os.kill(first, signal.SIGKILL)
    server.stop()


def test_an_own_redis_waits_for_its_directory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home, aside = tmp_path / "data", tmp_path / "aside"
    home.mkdir()
    server = RedisServer(home / "redis.sock")
    server.start()
    home.rename(aside)
    for _ in range(3):
        server.keep_running()
    assert server.alive
    assert not home.exists()
    assert caplog.text.count(f"the state directory {home} is gone") == 1
    # As after a disk was exchanged: the directory is there, and nothing of ours in it.
    home.mkdir()
    server.keep_running()
    with redis.Redis(unix_socket_path=str(home / "redis.sock")) as client:
        assert client.ping()
    server.stop()


def test_an_own_redis_that_can_not_start_is_said_once_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home = tmp_path / "data"
    home.mkdir()
    server = RedisServer(home / "redis.sock")
    server.start()
    server.stop()
    # In place of its log is something that can't be written, as on a disk that is read-only.
    (home / "redis.log").unlink()
    (home / "redis.log").mkdir()
    for _ in range(3):
        assert server.keep_running() == 1.0
    assert caplog.text.count("has died") == caplog.text.count("can't be started") == 1
    (home / "redis.log").rmdir()
    server.keep_running()
    assert server.alive
    server.stop()


def test_an_own_redis_starts_beside_damaged_files_of_one(tmp_path: Path) -> None:
    """One that was asked to save by hand, and a power cut while it did."""
    for name in ("dump.rdb", "redis.rdb"):
        (tmp_path / name).write_bytes(bytes(512))
    server = RedisServer(tmp_path / "redis.sock")
    server.start()
    assert server.alive
    server.stop()


@pytest.mark.parametrize("name", ["redis.sock", "redis.log"])
def test_an_obstacle_in_place_of_a_file_of_redis_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    server = RedisServer(tmp_path / "redis.sock")
    with pytest.raises(ConfigError, match=f"{name}: Is a directory"):
        server.start()
    server.stop()


def test_a_redis_that_can_not_start_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did not start: see"):
        RedisServer(tmp_path / ("long" * 40)).start()


def test_a_redis_is_found_without_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert Path(find_redis()).exists()


def test_only_an_environment_with_pip_is_told_to_use_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_server, "find_server", lambda _names: None)
    installed = {"pip"}
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: object() if name in installed else None
    )
    with pytest.raises(ConfigError, match=r"apt install redis-server, or .* -m pip install "):
        find_redis()
    installed.clear()
    with pytest.raises(ConfigError, match=r"apt install redis-server$"):
        find_redis()
