"""A second file system, as that of a disk that is mounted in another one's place."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_MEMORY = Path("/dev", "shm")


@contextmanager
def another_file_system(than: Path) -> Iterator[Path]:
    """Yield a folder on another file system than a path; skip the test where there is none."""
    if not _MEMORY.is_dir() or _MEMORY.stat().st_dev == than.stat().st_dev:
        pytest.skip("there is no second file system")
    with tempfile.TemporaryDirectory(dir=_MEMORY) as folder:
        yield Path(folder)
