"""One file with everything of a machine: database, spool, and the files beside them."""

import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL

from esquirell.domain.errors import ConfigError, UnavailableError
from esquirell.domain.payload import read_foreign
from esquirell.storage import address
from esquirell.storage.database import Database

MANIFEST = "manifest.json"
FORMAT = "esquirell-backup"
VERSION = 1
MODE = 0o600
# One of our files: at most one folder deep, and no path out of the archive.
_NAME = re.compile(r"(?:[a-z0-9_-]+/)?[A-Za-z0-9_-][A-Za-z0-9._-]*")


def refuse_existing(target: Path) -> None:
    """Raise ConfigError if the file already exists."""
    if os.path.lexists(target):
        raise ConfigError(f"{target} already exists: name a new file.")


@contextmanager
def folder_beside(target: Path) -> Iterator[Path]:
    """Yield a folder for copies, on the disk of the future archive. Raises ConfigError."""
    try:
        folder = tempfile.TemporaryDirectory(dir=target.parent, prefix=".backup-")
    except OSError as error:
        raise ConfigError(f"{target} can't be written: {error.strerror}") from error
    with folder as name:
        yield Path(name)


def write(target: Path, facts: Mapping[str, Any], files: Mapping[str, Path]) -> None:
    """Write files into a new archive, 0600, complete or not at all.

    `facts` go into its manifest. Raises ConfigError when it exists or can't be written.
    """
    refuse_existing(target)
    manifest = {"format": FORMAT, "version": VERSION, **facts, "files": sorted(files)}
    try:
        with tempfile.NamedTemporaryFile(
            dir=target.parent, prefix=f".{target.name}.", delete=False
        ) as file:
            staged = Path(file.name)
            try:
                with tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as archive:
                    _add(archive, MANIFEST, json.dumps(manifest, indent=2).encode())
                    for name, path in sorted(files.items()):
                        archive.add(path, name, recursive=False, filter=_anonymous)
                file.flush()
                os.fsync(file.fileno())
                staged.rename(target)
            finally:
                staged.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"{target} can't be written: {error.strerror}") from error


@contextmanager
def unpacked(source: Path) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Path]]]:
    """Yield the manifest of an archive and its files, temporarily unpacked.

    Raises ConfigError for a file that is not such an archive, or that would write elsewhere.
    """
    with tempfile.TemporaryDirectory(prefix="esquirell-restore-") as folder:
        try:
            with tarfile.open(source, mode="r:gz") as archive:
                files = {
                    member.name: _extract(archive, member, Path(folder), source)
                    for member in archive
                }
        except (tarfile.TarError, EOFError, OSError, ValueError) as error:
            raise ConfigError(f"{source} is not a backup of esquirell: {error}") from error
        yield _manifest(files.pop(MANIFEST, None), source), files


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, source: Path) -> Path:
    if not member.isreg() or not _NAME.fullmatch(member.name):
        raise ConfigError(f"{source} is not a backup of esquirell: it contains {member.name!r}")
    target = folder / member.name
    target.parent.mkdir(mode=0o700, exist_ok=True)
    content = archive.extractfile(member)
    assert content is not None  # noqa: S101 - a regular file, for the type checker
    with target.open("xb") as file:
        while block := content.read(1 << 20):
            file.write(block)
    return target


def _manifest(file: Path | None, source: Path) -> Mapping[str, Any]:
    manifest = read_foreign(file.read_bytes()) if file else {}
    if manifest.get("format") != FORMAT:
        raise ConfigError(f"{source} is not a backup of esquirell: it has no manifest")
    if manifest.get("version") != VERSION:
        raise ConfigError(f"{source} was written by a newer version: install that first")
    return manifest


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), MODE
    archive.addfile(member, io.BytesIO(content))


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = MODE
    return member


def dump(database: Database, file: Path) -> None:
    """Write a copy in PostgreSQL's custom format.

    Raises ConfigError without the program, UnavailableError when it fails.
    """
    _run(database, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={file}")


def load(database: Database, file: Path) -> None:
    """Replace the database's contents by a copy, completely or not at all.

    Raises ConfigError without the program, UnavailableError when it fails.
    """
    options = ("--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction")
    _run(database, "pg_restore", *options, f"--dbname={database.url.database}", str(file))


def _run(database: Database, program: str, *options: str) -> None:
    found = shutil.which(program)
    if found is None:
        raise ConfigError(f"{program} is not installed: sudo apt install postgresql-client")
    done = subprocess.run(
        [found, *options],
        env={**os.environ, **_environment(database.url)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it gave no reason"])[-1]
        raise UnavailableError(f"{program} failed for {address.shown(database.url)}: {last}")


def _environment(url: URL) -> Mapping[str, str]:
    """Return libpq's environment: as an argument, the password would be visible to all users."""
    named = {
        "PGHOST": url.host,
        "PGPORT": str(url.port) if url.port else None,
        "PGUSER": url.username,
        "PGPASSWORD": str(url.password) if url.password else None,
        "PGDATABASE": url.database,
    }
    return {key: value for key, value in named.items() if value}
