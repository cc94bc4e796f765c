import errno
import io
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from support.fault_bench import preloaded
from support.waiting import LIMIT_S, eventually

from esquirell.daemon import logs, parts
from esquirell.daemon.lock import AlreadyRunningError, RunLock
from esquirell.daemon.notify import notify, sign_of_life_every_s, still_starting
from esquirell.daemon.parts import Part, RunOnce, together
from esquirell.daemon.redis_server import RedisServer, find_redis
from esquirell.daemon.roles import persistent_name
from esquirell.daemon.watchdog import HUNG_EXIT_CODE, Disks, Gauge, Watchdog
from esquirell.domain.errors import ConfigError


class Rounds:
    """A part's work: counts what happens; `script` gives what each round does."""

    def __init__(self, script: Callable[[int], None] = lambda _: None) -> None:
        self.script = script
        self.made = 0
        self.done = 0
        self.closed = 0

    @contextmanager
    def __call__(self) -> Iterator[RunOnce]:
        self.made += 1
        try:
            yield self.run_once
        finally:
            self.closed += 1

    def run_once(self) -> float:
        self.done += 1
        self.script(self.done)
        return 0.01


@pytest.mark.parametrize(
    ("pause_s", "now", "expected"),
    [
        (0.3, 100.2, 0.3),
        (1.0, 100.0, 0.1),
        (1.0, 100.1, 1.0),
        (1.0, 100.0995, 1.0005),
        (5.0, 100.7, 4.4),
        (60.0, 100.0, 59.1),
    ],
)
def test_longer_pauses_end_at_the_same_moment_of_a_second(
    pause_s: float, now: float, expected: float
) -> None:
    assert together(pause_s, now) == pytest.approx(expected)


def test_a_part_that_is_woken_takes_its_turn_at_once() -> None:
    rounds = Rounds()
    part = Part("it", lambda: rounds_of(60.0, rounds))
    part.start()
    eventually(lambda: rounds.done == 1)
    part.wake()
    eventually(lambda: rounds.done == 2)
    part.stop()
    part.join(LIMIT_S)
    assert (part.alive, rounds.done) == (False, 2)


@contextmanager
def rounds_of(pause_s: float, rounds: Rounds) -> Iterator[RunOnce]:
    with rounds() as run_once:
        yield lambda: run_once() and pause_s


def fail_once(number: int) -> None:
    if number == 2:
        raise ZeroDivisionError("the second round")


def die_once(number: int) -> None:
    if number == 2:
        raise SystemExit


def test_a_part_turns_until_it_is_stopped() -> None:
    rounds = Rounds()
    part = Part("it", rounds)
    part.start()
    eventually(lambda: rounds.done > 3)
    part.stop()
    part.join(LIMIT_S)
    assert not part.alive
    assert (rounds.made, rounds.closed) == (1, 1)


def test_a_part_that_waits_for_something_ends_at_once() -> None:
    something, began = threading.Event(), threading.Event()

    def wait(_: int) -> None:
        began.set()
        something.wait(10 * LIMIT_S)

    rounds = Rounds(wait)
    part = Part("it", rounds, hurry=something.set)
    part.start()
    assert began.wait(LIMIT_S)
    part.stop()
    part.join(LIMIT_S)
    assert not part.alive
    assert rounds.closed == 1


def test_a_part_that_fails_is_rebuilt(caplog: pytest.LogCaptureFixture) -> None:
    rounds = Rounds(fail_once)
    part = Part("it", rounds)
    part.start()
    eventually(lambda: rounds.done > 3)
    part.stop()
    part.join(LIMIT_S)
    assert (rounds.made, rounds.closed) == (2, 2)
    assert "it failed and is restarted" in caplog.text


def test_a_fault_with_a_sentence_is_said_once_while_it_lasts(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PAUSE_AFTER_FAILURE_S", 0.01)

    def script(number: int) -> None:
        if number < 4:
            raise ConfigError("web-key can't be read: Input/output error")

    rounds = Rounds(script)
    part = Part("web", rounds)
    part.start()
    eventually(lambda: rounds.done > 5)
    part.stop()
    part.join(LIMIT_S)
    assert caplog.text.count("web waits: web-key can't be read: Input/output error") == 1
    assert "Traceback" not in caplog.text


# The thread is meant to die.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_part_whose_thread_died_is_restarted(caplog: pytest.LogCaptureFixture) -> None:
    rounds = Rounds(die_once)
    watchdog = Watchdog([Part("it", rounds)], [], lambda: "")
    watchdog.start()
    eventually(lambda: rounds.made == 2)
    watchdog.stop()
    assert "it has died" in caplog.text


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
from esquirell.daemon.parts import Part

watchdog.LOOK_EVERY_S = 0.05

@contextmanager
def hang():
    yield lambda: threading.Event().wait()

gauge = watchdog.Gauge("it", lambda: 99.0, 98.0)
dog = watchdog.Watchdog([Part("it", hang)], [gauge], lambda: "")
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


def test_a_process_that_was_stopped_goes_on() -> None:
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


def test_what_hangs_for_a_reason_does_not_end_the_process(
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

    part = Part("it", Rounds(wait))
    part.start()
    started.wait(LIMIT_S)
    eventually(lambda: part.silent_s() > 0.1)
    part.stop()
    part.join(LIMIT_S)


def test_a_lock_is_held_once_and_ends_with_its_holder(tmp_path: Path) -> None:
    one, other = RunLock(tmp_path / "lock"), RunLock(tmp_path / "lock")
    assert not other.held()
    one.take()
    assert other.held()
    with pytest.raises(AlreadyRunningError, match="another service uses"):
        other.take()
    one.release()
    other.take()
    other.release()


def test_two_who_ask_at_once_do_not_see_each_other(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    seen: list[bool] = []

    def ask() -> None:
        seen.extend(RunLock(tmp_path / "lock").held() for _ in range(300))

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(20)
    assert len(seen) == 900
    assert not any(seen)


def test_a_lock_is_taken_again_on_what_was_put_in_place_of_its_file(tmp_path: Path) -> None:
    home, aside = tmp_path / "data", tmp_path / "aside"
    home.mkdir()
    lock, other = RunLock(home / "lock"), RunLock(home / "lock")
    lock.take()
    home.rename(aside)
    lock.keep()
    assert not home.exists()
    shutil.copytree(aside, home)
    assert not other.held()
    lock.keep()
    assert other.held()
    (home / "lock").unlink()
    lock.keep()
    assert other.held()
    lock.release()
    assert not other.held()


def test_who_took_the_lock_meanwhile_keeps_it(tmp_path: Path) -> None:
    lock, other = RunLock(tmp_path / "lock"), RunLock(tmp_path / "lock")
    lock.take()
    (tmp_path / "lock").unlink()
    other.take()
    for _ in range(2):
        with pytest.raises(AlreadyRunningError):
            lock.keep()
    other.release()
    lock.keep()
    assert other.held()
    lock.release()


@pytest.mark.parametrize("before", [None, b"", b"x", b"\xff\x00", b"0" * 32])
def test_a_service_keeps_its_name_unless_it_is_damaged(
    tmp_path: Path, before: bytes | None
) -> None:
    file = tmp_path / "instance"
    if before is not None:
        file.write_bytes(before)
    name = persistent_name(file)
    assert len(name) == 32
    assert persistent_name(file) == file.read_text() == name


def test_a_service_starts_without_its_name_and_on_a_disk_that_refuses(tmp_path: Path) -> None:
    (tmp_path / "instance").mkdir()
    assert len(persistent_name(tmp_path / "instance")) == 32
    assert (tmp_path / "instance.damaged-1").is_dir()
    assert len(persistent_name(Path("/proc/instance"))) == 32


def test_a_lock_that_can_not_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="state_dir"):
        RunLock(tmp_path / "file" / "lock").take()


def test_systemd_is_notified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(path))
        systemd.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        notify("READY=1")
        assert systemd.recv(100) == b"READY=1"


def test_a_start_that_takes_longer_is_granted_more_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(path))
        systemd.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        still_starting("waiting for the database", 120)
        said = systemd.recv(100)
    assert said == b"EXTEND_TIMEOUT_USEC=120000000\nSTATUS=waiting for the database"


@pytest.mark.parametrize(
    ("limit_us", "pid", "pause_s"),
    [("", "", 5.0), ("60000000", "", 5.0), ("3000000", "", 1.5), ("3000000", "1", 5.0)],
)
def test_signs_of_life_come_twice_as_often_as_systemd_asks(
    limit_us: str, pid: str, pause_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", limit_us)
    monkeypatch.setenv("WATCHDOG_PID", pid or str(os.getpid()))
    assert sign_of_life_every_s(5.0) == pause_s


def test_systemd_learns_that_all_parts_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(path))
        systemd.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        monkeypatch.setenv("WATCHDOG_USEC", "100000")
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        watchdog = Watchdog([Part("it", Rounds())], [], lambda: "up as beat")
        watchdog.start()
        said = systemd.recv(100)
        watchdog.stop()
    assert said == b"WATCHDOG=1\nSTATUS=up as beat"


def test_without_systemd_nobody_is_notified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")


def record(message: str = "hello", level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("esquirell.x", level, __file__, 1, message, (), None)


def test_a_log_line_for_the_journal_carries_its_priority() -> None:
    line = logs.JournalFormatter("%(message)s").format(record("one\ntwo", logging.ERROR))
    assert line == "<3>one\n<3>two"


def test_equal_lines_are_counted() -> None:
    now = [0.0]
    repeats = logs.Repeats(lambda: now[0])

    def came(message: str, level: int = logging.WARNING) -> list[str]:
        """Return what is logged when a line comes."""
        due = [counted.getMessage() for counted in repeats.over()]
        return [*due, *([message] if repeats.allows(record(message, level)) else [])]

    assert [came("again") for _ in range(20)] == [["again"]] * 5 + [[]] * 15
    assert came("another") == ["another"]
    assert [came("again", logging.DEBUG) for _ in range(9)] == [["again"]] * 9
    now[0] = 59.0
    assert came("again") == []
    now[0] = 61.0
    assert came("more") == ["again (16 more times within a minute)", "more"]
    assert came("again") == ["again"]
    # What does not come again is not counted any longer, either.
    now[0] = 130.0
    assert came("more") == ["more"]
    assert len(repeats._seen) == 1


def test_the_last_count_is_said_at_the_end() -> None:
    stream = io.StringIO()
    handler = logs.CountingHandler(stream)
    for _ in range(8):
        handler.handle(record("again"))
    handler.handle(record("done"))
    handler.close()
    lines = stream.getvalue().splitlines()
    assert lines == [*["again"] * 5, "done", "again (3 more times within a minute)"]


def test_lines_of_many_kinds_take_no_memory_without_bound() -> None:
    repeats = logs.Repeats(lambda: 0.0)
    for number in range(5000):
        repeats.over()
        assert repeats.allows(record(f"line {number}"))
    assert len(repeats._seen) <= logs.LINES_COUNTED + 1


def test_a_log_line_as_json() -> None:
    entry = json.loads(logs.JsonFormatter().format(record('say "hi"')))
    assert (entry["level"], entry["logger"], entry["message"]) == (
        "warning",
        "esquirell.x",
        'say "hi"',
    )


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
def test_what_stands_in_the_place_of_a_file_of_redis_is_named(tmp_path: Path, name: str) -> None:
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
