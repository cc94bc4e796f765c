"""A PostgreSQL of this run alone, from the programs that are installed."""

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.programs import MissingError, accepts, ended, free_port, wait_until

BINARIES = Path("/usr/lib/postgresql")
SERVICE_USER = "postgres"
START_S = 60.0


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Run a server with one empty database; returns its URL. Raises MissingError."""
    binaries = _binaries()
    # PostgreSQL refuses to run as root, and its own user may not enter others' folders.
    place = Path(tempfile.mkdtemp(prefix="esquirell-benchmarks-", dir=_open_to(folder)))
    password, port = secrets.token_hex(16), free_port()
    (place / "password").write_text(password, encoding="ascii")
    if os.geteuid() == 0:
        _give(place)
    made = [f"--pwfile={place / 'password'}", "--username=esquirell", "--auth=scram-sha-256"]
    try:
        if _run(binaries / "initdb", place, [*made, "--no-sync"]).wait(START_S):
            raise MissingError("PostgreSQL's initdb failed")
        options = ["-p", str(port), "-c", "listen_addresses=127.0.0.1"]
        server = _run(binaries / "postgres", place, [*options, "-c", "unix_socket_directories="])
        try:
            wait_until(lambda: accepts(port), START_S)
            yield f"postgresql+psycopg://esquirell:{password}@127.0.0.1:{port}/postgres"
        finally:
            ended(server)
    finally:
        shutil.rmtree(place)


def _binaries() -> Path:
    found = sorted(BINARIES.glob("*/bin/initdb"))
    if not found:
        raise MissingError("PostgreSQL is not installed")
    return found[-1].parent


def _open_to(folder: Path) -> Path | None:
    return None if os.geteuid() == 0 else folder


def _give(place: Path) -> None:
    owner = pwd.getpwnam(SERVICE_USER)
    for path in (place, place / "password"):
        os.chown(path, owner.pw_uid, owner.pw_gid)


def _run(program: Path, place: Path, options: Sequence[str]) -> "subprocess.Popen[bytes]":
    as_root = os.geteuid() == 0
    with (place / "log").open("ab") as log:
        return subprocess.Popen(
            [str(program), "-D", str(place / "data"), *options],
            cwd=place,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            stdout=log,
            stderr=log,
            user=SERVICE_USER if as_root else None,
            group=SERVICE_USER if as_root else None,
            extra_groups=[] if as_root else None,
        )
