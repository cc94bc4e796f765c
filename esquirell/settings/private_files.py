"""Files and folders readable only by their owner; several files are written all or none."""

import errno
import logging
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from esquirell import whole_file
from esquirell.domain.errors import ConfigError, DiskError

log = logging.getLogger(__name__)

# What helps when a file can't be written, by error number.
_REMEDIES = {
    errno.EROFS: "its disk may have failed: check it, and mount it for writing",
    errno.EIO: "its disk fails: replace it",
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
}
_OWNER = "change state_dir, or the owner of that folder"


def make_directory(path: Path) -> None:
    """Create a directory for this user only, with its parents. Raises ConfigError."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"state_dir {path} can't be created ({error.strerror}): set state_dir to a folder that "
            "this user may write to"
        ) from error


def unwritable(file: Path, error: OSError) -> str:
    """Return the sentence for a file of the state directory that can't be opened for writing."""
    if error.errno == errno.EISDIR:
        return f"{file} must be a file: remove the folder of this name"
    remedy = _REMEDIES.get(error.errno or 0, _OWNER)
    return f"{file.parent} is not writable ({error.strerror}): {remedy}"


def refuse_existing(paths: Iterable[Path], instead: str = "") -> None:
    """Raise ConfigError when one of these files exists; `instead` says what else can be done."""
    for path in paths:
        if os.path.lexists(path):
            raise ConfigError(f"{path} already exists: --force overwrites it{instead}")


def write(files: Mapping[Path, str | bytes | Path]) -> None:
    """Write files with mode 0600, in this order, replacing existing files; create folders.

    What is given as a path is copied from there. Each file appears complete, and none before all
    could be written. Raises DiskError.
    """
    staged: dict[Path, Path] = {}
    try:
        for path, text in files.items():
            with _translated(path):
                staged[path] = _stage(path, text)
        for path, temporary in staged.items():
            with _translated(path):
                whole_file.put(temporary, path)
    finally:
        for temporary in staged.values():
            temporary.unlink(missing_ok=True)


def kept_secret(file: Path, size: int) -> tuple[str, bool]:
    """Return the secret in a file, and whether it was just created.

    A new one has `size` random bytes. What is no secret, as after a power cut, is set aside: a file
    of zeros would be one that everybody knows. Raises DiskError when the file can't be used.
    """
    try:
        if kept := _read_secret(file):
            return kept, False
        set_aside(file, "a new secret is created")
    except FileNotFoundError:
        pass
    except OSError as error:
        raise DiskError(f"{file} can't be read: {error.strerror}") from error
    return _create_secret(file, secrets.token_urlsafe(size))


def _read_secret(file: Path) -> str:
    """Return the secret in a file; empty if there is none. Raises OSError."""
    try:
        kept = file.read_text(encoding="utf-8").strip()
    except (IsADirectoryError, UnicodeDecodeError):
        return ""
    return kept if kept.isprintable() else ""


def _create_secret(file: Path, secret: str) -> tuple[str, bool]:
    """Write a secret atomically, unless another process has just done so."""
    with _translated(file):
        if not file.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        staged = _stage(file, f"{secret}\n")
        try:
            return (secret, True) if _link(staged, file) else (_read_secret(file), False)
        finally:
            staged.unlink(missing_ok=True)


def _link(staged: Path, file: Path) -> bool:
    """Link a complete file to its name; return False if that is taken."""
    try:
        os.link(staged, file)
    except FileExistsError:
        return False
    except OSError:  # a file system without links, as on a USB stick
        whole_file.put(staged, file)
    return True


def set_aside(file: Path, instead: str) -> None:
    """Rename a damaged file, and log it with what happens `instead`. Raises DiskError."""
    names = (file.with_name(f"{file.name}.damaged-{number}") for number in count(1))
    aside = next(name for name in names if not os.path.lexists(name))
    with _translated(file):
        file.rename(aside)
    log.error("%s was damaged: it was moved to %s, and %s", file, aside.name, instead)


def _stage(path: Path, content: str | bytes | Path) -> Path:
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    path.parent.mkdir(parents=True, exist_ok=True)
    return whole_file.stage(path, content.encode() if isinstance(content, str) else content)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DiskError(f"{path} can't be written: {error.strerror}") from error
