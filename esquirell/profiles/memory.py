"""What was recognised about meters, kept across restarts so that published keys stay."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from pydantic import TypeAdapter, ValidationError

from esquirell import whole_file
from esquirell.domain.profile import Profile
from esquirell.domain.record import record

_LARGEST = 1024 * 1024


@record
class Remembered:
    """A profile that was guessed for a device, its open datapoints, and everything it ever sent."""

    profile: Profile
    open: tuple[str, ...]
    sent: tuple[str, ...]


_REMEMBERED = TypeAdapter(Remembered)


class Memory(Protocol):
    """Keeps what was recognised, by a text that identifies a device and its configuration."""

    def get(self, source: str) -> Remembered | None:
        """Return what was recognised about a device; None if nothing was, or it can't be read."""

    def put(self, source: str, remembered: Remembered) -> None:
        """Keep what was recognised; a disk that refuses costs only the next recognition."""


class NullMemory:
    """Remembers nothing: for one-off queries."""

    def get(self, source: str) -> Remembered | None:  # noqa: ARG002
        """Return nothing."""
        return None

    def put(self, source: str, remembered: Remembered) -> None:
        """Keep nothing."""


class Files:
    """Remembers in one small file per device, named by a hash; without raw values.

    Another `version` of the program decides again: its rules may be better.
    """

    def __init__(self, folder: Path, version: str) -> None:
        self._folder = folder
        self._version = version

    def get(self, source: str) -> Remembered | None:
        """Return the content of a device's file, if it can be read."""
        try:
            with self._file(source).open("rb") as file:
                return _REMEMBERED.validate_json(file.read(_LARGEST))
        except (OSError, ValidationError):
            return None

    def put(self, source: str, remembered: Remembered) -> None:
        """Write a file, for this user only; readers see the old one or the complete new one."""
        text = json.dumps(_plain(remembered), ensure_ascii=False)
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, exist_ok=True)
            whole_file.replace(self._file(source), text.encode())

    def _file(self, source: str) -> Path:
        return self._folder / hashlib.sha256(f"{self._version} {source}".encode()).hexdigest()[:24]


def _plain(remembered: Remembered) -> Mapping[str, Any]:
    found: Mapping[str, Any] = _REMEMBERED.dump_python(remembered, mode="json")
    return found
