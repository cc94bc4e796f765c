"""A process in which something hangs is ended; one that was stopped goes on."""

import errno
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from celery import Celery
from support.configuration import METER, ConfigurationFolder
from support.fault_bench import preloaded
from support.redis_server import RedisProcess
from support.rounds import Rounds
from support.tcp_proxy import TcpProxy
from support.waiting import LIMIT_S, eventually

from esquirell.broker.diagnosis import SLOW_S
from esquirell.daemon.parts import ServicePart
from esquirell.daemon.watchdog import HUNG_EXIT_CODE, Disks, Gauge, Watchdog
from esquirell.runtime.shared import Shared


def test_a_look_that_fails_ends_no_watch(caplog: pytest.LogCaptureFixture) -> None:
    looks: list[str] = []

    def look() -> str:
        looks.append("")
        if len(looks) == 2:
            raise OSError(errno.EIO, "the disk is gone")
        return ""

    watchdog = Watchdog([], [], look, look_every_s=0.01)
    watchdog.start()
    eventually(lambda: len(looks) > 4)
    watchdog.stop()
    assert "the watchdog could not check" in caplog.text


HANG = """
import threading
from contextlib import contextmanager
from esquirell.daemon import watchdog
from esquirell.daemon.parts import ServicePart

watchdog.LOOK_EVERY_S = 0.05

@contextmanager
def hang():
    yield lambda: threading.Event().wait()

gauge = watchdog.Gauge("it", lambda: 99.0, 98.0)
dog = watchdog.Watchdog([ServicePart("it", hang)], [gauge], lambda: "")
dog.start()
threading.Event().wait(120)
"""


def test_a_hang_ends_the_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANG], capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == HUNG_EXIT_CODE
    assert "it has been hanging for 99 s" in done.stderr
    assert "most recent call first" in done.stderr


STOPPED = """
import threading, time
from esquirell.daemon import watchdog

watchdog.STOPPED_FOR_S = 1.0
seen = [time.monotonic()]

def work():
    while True:
        time.sleep(1.5)
        seen[0] = time.monotonic()

threading.Thread(target=work, daemon=True).start()
gauge = watchdog.Gauge("it", lambda: time.monotonic() - seen[0], 2.0)
dog = watchdog.Watchdog([], [gauge], lambda: "", look_every_s=0.05)
dog.start()
print("ready", flush=True)
input()
"""


def test_a_process_that_was_paused_continues() -> None:
    command = [sys.executable, "-c", STOPPED]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(4)  # here time is what is tested
        process.send_signal(signal.SIGCONT)
        time.sleep(3)
        assert process.poll() is None
        _, said = process.communicate("over\n")
    assert process.returncode == 0
    assert "the process was stopped for" in said


def test_a_hang_with_a_known_reason_does_not_end_the_process(
    caplog: pytest.LogCaptureFixture,
) -> None:
    excused = threading.Event()

    def excuse() -> str:
        excused.set()
        return "the disk has not answered for 70 s"

    gauge = Gauge("housekeeping", lambda: 99.0, 60.0)
    watchdog = Watchdog([], [gauge], str, look_every_s=0.01, excuse=excuse)
    watchdog.start()
    assert excused.wait(LIMIT_S)
    watchdog.stop()
    eventually(lambda: "housekeeping has been hanging for 99 s: the disk has" in caplog.text)


def test_a_disk_that_answers_or_refuses_does_not_hang(tmp_path: Path) -> None:
    assert Disks([tmp_path, tmp_path / "missing"]).trouble() == ""
    assert list(tmp_path.iterdir()) == []


HANGING = """
import pathlib, sys
from esquirell.daemon.watchdog import Disks
print(Disks([pathlib.Path(sys.argv[1])]).trouble())
"""


@pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
def test_a_disk_that_hangs_is_named(tmp_path: Path) -> None:
    hangs = tmp_path / "hangs"
    hangs.touch()
    environment = preloaded(tmp_path, "hung_disk") | {"HUNG_DISK_FILE": str(hangs)}
    command = [sys.executable, "-c", HANGING, str(tmp_path)]
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"the disk of {tmp_path} has not answered for 2 s\n"


def test_silence_is_measured() -> None:
    started = threading.Event()

    def wait(_: int) -> None:
        started.set()
        time.sleep(0.3)

    part = ServicePart("it", Rounds(wait))
    part.start()
    started.wait(LIMIT_S)
    eventually(lambda: part.silent_s() > 0.1)
    part.stop()
    part.join(LIMIT_S)


def test_a_slow_redis_is_an_excuse_and_so_is_one_that_is_gone(
    tmp_path: Path, server: RedisProcess
) -> None:
    with TcpProxy(server.port) as proxy:
        url = f'redis.url = "redis://127.0.0.1:{proxy.port}/0"\n'
        shared = Shared(ConfigurationFolder(tmp_path).load(url + METER), Celery(), "me")
        assert shared.trouble() == ""
        proxy.late_s = SLOW_S / 2
        assert re.match(r"Redis takes .* s to answer", shared.trouble())
    assert "Redis does not answer" in shared.trouble()


def test_a_look_up_that_does_not_end_is_an_excuse_and_holds_up_no_sign_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()

    def resolver(*_: object, **__: object) -> list[object]:
        ended.wait(LIMIT_S)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    monkeypatch.setattr("esquirell.runtime.shared.TRIAL_S", 0.1)
    url = 'redis.url = "redis://redis.lan/0"\n'
    shared = Shared(ConfigurationFolder(tmp_path).load(url + METER), Celery(), "me")
    try:
        said = [shared.trouble() for _ in range(2)]
        assert all("Redis, or the server of its name, has not answered" in one for one in said)
    finally:
        ended.set()
