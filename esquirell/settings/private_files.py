"""Files and folders that only their owner may read; several files are written all or none."""

import errno
import os
import secrets
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from esquirell.domain.errors import ConfigError


def make_directory(path: Path) -> None:
    """Create a directory for this user alone, with its parents. Raises ConfigError."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"state_dir {path} can't be created ({error.strerror}): set state_dir to a folder that "
            "this user may write to"
        ) from error


def refuse_existing(paths: Iterable[Path]) -> None:
    """Raise ConfigError when one of these files exists."""
    for path in paths:
        if os.path.lexists(path):
            raise ConfigError(f"{path} already exists: --force overwrites it")


def write(files: Mapping[Path, str]) -> None:
    """Write texts with mode 0600, in this order, replacing existing files; create folders.

    Each file appears complete, and none before all could be written. Raises ConfigError.
    """
    staged: dict[Path, Path] = {}
    try:
        for path, text in files.items():
            with _translated(path):
                staged[path] = _stage(path, text)
        for path, temporary in staged.items():
            with _translated(path):
                temporary.replace(path)
    finally:
        for temporary in staged.values():
            temporary.unlink(missing_ok=True)


def kept_secret(file: Path, size: int) -> tuple[str, bool]:
    """Return the secret in a file, and whether it was created just now.

    A new one has `size` random bytes. Raises ConfigError when the file can't be used.
    """
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read_secret(file), False
    except OSError as error:
        raise ConfigError(f"{file} can't be written: {error.strerror}") from error
    secret = secrets.token_urlsafe(size)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(f"{secret}\n")
    return secret, True


def _read_secret(file: Path) -> str:
    try:
        kept = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{file} can't be read ({error}): remove it to have a new one created"
        ) from None
    if not kept:
        raise ConfigError(f"{file} is empty: remove it to have a new one created")
    return kept


def _stage(path: Path, text: str) -> Path:
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "wb", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        try:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            Path(file.name).unlink(missing_ok=True)
            raise
    return Path(file.name)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(f"{path} can't be written: {error.strerror}") from error
