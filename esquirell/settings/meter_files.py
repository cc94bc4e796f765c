"""Writing the files of meters that are added while the service runs."""

import fcntl
import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from esquirell.domain.errors import ConfigError
from esquirell.settings import private_files
from esquirell.settings.added_meters import Edit, file_of, folder_of
from esquirell.settings.loading import load

_HEAD = "# A meter of esquirell, added with the page or `esquirell meters add`.\n\n"


class MeterFiles:
    """The meter files in a state directory; nothing is written that would not load.

    All methods raise ConfigError.
    """

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir

    def file(self, name: str) -> Path:
        """Return the file of a meter, whether or not it exists."""
        return file_of(self._state_dir, name)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other threads and processes from changing the files meanwhile (flock(2))."""
        folder = folder_of(self._state_dir)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise ConfigError(f"{folder} can't be used: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
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
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        private_files.write({file: _HEAD + tomlkit.dumps(document)})
        return file

    def read(self, name: str) -> dict[str, Any]:
        """Return what the file of a meter says, including its secrets."""
        file = self.file(name)
        try:
            return tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{file} can't be read: {error}") from error

    def remove(self, name: str) -> None:
        """Remove the file of a meter."""
        load(edit=Edit(name, None))
        file = self.file(name)
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigError(f"{file} can't be removed: {error.strerror}") from error
