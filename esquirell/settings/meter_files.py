"""Writing the files of meters that are added while the service runs."""

import fcntl
import os
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from esquirell.domain.errors import ConfigError, DiskError
from esquirell.settings import private_files
from esquirell.settings.added_meters import Edit, file_of, folder_of
from esquirell.settings.loading import load
from esquirell.settings.state_files import StateDirectory

_HEAD = "# A meter of esquirell, added with the page or `esquirell meters add`.\n\n"
_PATIENCE_S = 5.0
_PAUSE_S = 0.05


class MeterFiles:
    """The meter files in a state directory; only files that load are written.

    All methods raise ConfigError; DiskError for what the disk refuses. Nothing is written either
    while the directory is gone or another disk is in its place: it would be out of reach when the
    right one is back.
    """

    def __init__(self, directory: StateDirectory, patience_s: float = _PATIENCE_S) -> None:
        self._directory = directory
        self._patience_s = patience_s

    def file(self, name: str) -> Path:
        """Return the file of a meter, whether or not it exists."""
        return file_of(self._directory.folder, name)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other threads and processes from changing the files meanwhile (flock(2))."""
        folder = self._existing_folder()
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise _unusable(folder, error) from error
        try:
            self._lock(descriptor, folder)
            yield
        finally:
            os.close(descriptor)

    def put(self, name: str, table: Mapping[str, Any]) -> Path:
        """Write the file of a meter; return its path."""
        import tomlkit  # noqa: PLC0415 - a service rarely needs it

        load(edit=Edit(name, table))
        document = tomlkit.document()
        for key, value in table.items():
            document.add(key, tomlkit.item(value))
        file = self.file(name)
        self._existing_folder()
        private_files.write({file: _HEAD + tomlkit.dumps(document)})
        return file

    def read(self, name: str) -> dict[str, Any]:
        """Return the content of a meter's file, including its secrets."""
        file = self.file(name)
        try:
            return tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise DiskError(f"{file} can't be read: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{file} can't be read: {error}") from error

    def remove(self, name: str) -> None:
        load(edit=Edit(name, None))
        self._directory.check()
        file = self.file(name)
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise DiskError(f"{file} can't be removed: {error.strerror}") from error

    def _existing_folder(self) -> Path:
        """Return the folder of the files; create it in the state directory, never that itself."""
        self._directory.check()
        folder = folder_of(self._directory.folder)
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise _unusable(folder, error) from error
        return folder

    def _lock(self, descriptor: int, folder: Path) -> None:
        """Lock a folder; wait some seconds for another process to release it."""
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise DiskError(
                        f"another program is changing the files in {folder}: try again"
                    ) from None
                time.sleep(_PAUSE_S)
            except OSError as error:
                raise DiskError(f"{folder} can't be locked: {error.strerror}") from error
            else:
                return


def _unusable(folder: Path, error: OSError) -> DiskError:
    return DiskError(f"{folder} can't be used: {error.strerror}")
