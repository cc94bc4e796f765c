"""Replacing a file as a whole: after a power cut the old one or the complete new one is there."""

import errno
import os
import shutil
import tempfile
from pathlib import Path

# Folders on network shares and some USB sticks can't be synchronized.
_NOT_FOR_FOLDERS = (errno.EINVAL, errno.ENOTSUP)


def replace(path: Path, content: bytes) -> None:
    """Write a file for this user alone, in place of an existing one. Raises OSError."""
    staged = stage(path, content)
    try:
        put(staged, path)
    finally:
        staged.unlink(missing_ok=True)


def stage(path: Path, content: bytes | Path) -> Path:
    """Write a hidden file beside `path` for this user alone, and return it. Raises OSError.

    `content` may be a file of any size, which is copied.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if isinstance(content, Path):
                with content.open("rb") as source:
                    shutil.copyfileobj(source, file)
            else:
                file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        # On a full disk each try would leave one.
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def put(staged: Path, path: Path) -> None:
    """Move a complete file to its name, replacing an existing one. Raises OSError."""
    staged.replace(path)
    try:
        sync(path.parent)
    except OSError as error:
        if error.errno not in _NOT_FOR_FOLDERS:
            raise


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
