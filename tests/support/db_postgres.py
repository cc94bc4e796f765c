"""A real PostgreSQL on a free loopback port, from Debian's package, with databases to spare."""

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from support.ports import free_port
from support.waiting import LIMIT_S, eventually

USER = "esquirell"
PASSWORD = "p@ss/word:#1"
QUOTED_PASSWORD = "p%40ss%2Fword%3A%231"


def find_binaries() -> Path | None:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = str(versions[-1]) if versions else shutil.which("initdb")
    return Path(found).resolve().parent if found else None


class PostgresServer:
    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._numbers = itertools.count(1)
        self.port = free_port()
        # Not below pytest's own directory, which only its owner may enter.
        self._directory = Path(tempfile.mkdtemp(prefix="esquirell-postgres-"))
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://{USER}:{QUOTED_PASSWORD}@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        secret = self._directory / "password"
        secret.write_text(PASSWORD)
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            for path in (self._directory, secret):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        options = [f"--username={USER}", f"--pwfile={secret}", "--auth=scram-sha-256"]
        self._popen("initdb", *options, "--encoding=UTF8", "--no-sync").wait(LIMIT_S)
        listening = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        self._listening = ["-p", str(self.port), *listening]
        self.start_again()

    def start_again(self) -> None:
        self._process = self._popen("postgres", "-F", *self._listening)
        eventually(self._answers, what="PostgreSQL answers")

    def kill(self) -> None:
        """End it as the kernel does when memory runs out; its children follow."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(LIMIT_S)
        pid_file = self._directory / "data" / "postmaster.pid"
        eventually(lambda: not self._answers())
        pid_file.unlink(missing_ok=True)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(LIMIT_S)
        shutil.rmtree(self._directory)

    def new_database(self) -> str:
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return name

    def drop_database(self, name: str) -> None:
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def cut_connections(self, name: str, password: str = PASSWORD) -> None:
        self.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",  # noqa: S608 - a name of ours
            password,
        )

    def processes(self) -> list[int]:
        """Return the ids of the server and of all its children."""
        assert self._process is not None
        parent = self._process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return [parent, *map(int, children)]

    def execute(self, statement: str, password: str = PASSWORD) -> None:
        with self.connect("postgres", password) as connection:
            connection.execute(statement.encode())

    def connect(self, name: str, password: str = PASSWORD) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=USER,
            password=password,
            dbname=name,
            autocommit=True,
        )

    def _popen(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [str(self._binaries / program), "-D", str(self._directory / "data"), *arguments]
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        log = (self._directory / f"{program}.log").open("wb")
        with log:
            # PostgreSQL refuses to run as root.
            if os.geteuid() == 0:
                return subprocess.Popen(
                    command,
                    stdout=log,
                    stderr=log,
                    env=environment,
                    cwd=self._directory,
                    user="postgres",
                    group="postgres",
                    extra_groups=[],
                )
            return subprocess.Popen(
                command, stdout=log, stderr=log, env=environment, cwd=self._directory
            )

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Run a server while a test needs one; skip the test where none is installed."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL's server is not installed: apt-get install postgresql")
    server = PostgresServer(binaries)
    try:
        server.start()
        yield server
    finally:
        server.stop()
