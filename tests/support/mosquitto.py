"""A real mosquitto on a loopback port of its own."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from support.ports import free_port
from support.waiting import LIMIT_S


class Mosquitto:
    """A broker that can be stopped, killed and started again on the same port."""

    def __init__(self, folder: Path, settings: Iterable[str] = ("allow_anonymous true",)) -> None:
        self.port = free_port()
        self._config = folder / f"mosquitto-{self.port}.conf"
        self._log = folder / f"mosquitto-{self.port}.log"
        self.configure(settings)
        self._process: subprocess.Popen[bytes] | None = None

    def configure(self, settings: Iterable[str]) -> None:
        """Write the settings that count from the next start on."""
        # As root mosquitto would give up its rights, and with them the files of the test.
        lines = [f"listener {self.port} 127.0.0.1", "user root", *settings]
        self._config.write_text("\n".join(lines) + "\n")

    def start(self) -> None:
        command = [_program("mosquitto"), "-v", "-c", str(self._config)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + LIMIT_S
        while not _accepts(self.port):
            assert self._process.poll() is None, self.log
            assert time.monotonic() < deadline, "mosquitto does not listen"
            time.sleep(0.01)

    def stop(self) -> None:
        if self._process is not None:
            self.thaw()
            # One signal is not enough: mosquitto 2.0 sets its flag "run" after it began to listen,
            # and forgets the end that it was asked for in between.
            deadline = time.monotonic() + LIMIT_S
            while self._process.poll() is None:
                assert time.monotonic() < deadline, "mosquitto does not end"
                self._process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(1)
            self._process = None

    def kill(self) -> None:
        """End it at once, which is quicker than asking it to."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(LIMIT_S)
            self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def reload(self) -> None:
        """Have it read its settings and rules again, with its clients connected."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGHUP)

    def freeze(self) -> None:
        """Keep the connections, and do nothing."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    @property
    def log(self) -> str:
        return self._log.read_text()


@contextmanager
def broker_with(folder: Path, rules: str) -> Iterator[tuple[Mosquitto, Callable[[str], None]]]:
    """Run a broker with access rules; yield it, and a function that changes them while it runs."""
    file = folder / "acl"
    file.write_text(rules)
    broker = Mosquitto(folder, ["allow_anonymous true", f"acl_file {file}"])

    def change(others: str) -> None:
        file.write_text(others)
        broker.reload()

    broker.start()
    try:
        yield broker, change
    finally:
        broker.stop()


def set_password(file: Path, user: str, password: str) -> None:
    """Write a user into a password file that only this broker needs to read."""
    file.touch(0o600)
    command = [_program("mosquitto_passwd"), "-b", str(file), user, password]
    subprocess.run(command, check=True, capture_output=True, timeout=LIMIT_S)
    file.chmod(0o600)


def _program(name: str) -> str:
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert path, f"{name} is not installed"
    return path


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
