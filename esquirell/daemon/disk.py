"""Whether the disks answer: a wait for one that hangs can't be ended, and ends once it is back."""

import os
import tempfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from esquirell.services.patience import Lane, StalledError


class Disks:
    """Tries the disks of some folders by writing to them; nothing stays there."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self._lanes = {folder: Lane(f"the disk of {folder}") for folder in dict.fromkeys(folders)}

    def trouble(self) -> str:
        """Return which disk hangs, in a sentence; empty if none does. Takes seconds at most."""
        for folder, lane in self._lanes.items():
            try:
                lane.run(partial(_write, folder))
            except StalledError as error:
                return str(error)
        return ""


def _write(folder: Path) -> None:
    """Write something for good. One that refuses does not hang."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"alive")
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        return
