"""The state directory: created, and never begun afresh where its disk is missing."""

from contextlib import suppress
from pathlib import Path

from esquirell.broker.places import Places
from esquirell.domain.errors import ConfigError, UnavailableError
from esquirell.settings.private_files import make_directory
from esquirell.settings.state_files import is_there


class StatePlace:
    """Where the state of this machine is; `noted` remembers where it was at earlier starts.

    Without `noted` nobody remembers: an embedded Redis is as new as the directory.
    """

    def __init__(self, folder: Path, noted: Places | None) -> None:
        self._folder = folder
        self._noted = noted

    def create(self) -> None:
        """Create the directory unless it exists. Raises ConfigError."""
        make_directory(self._folder)

    def check(self) -> None:
        """Raise ConfigError if the directory existed at an earlier start and is missing now."""
        if self._noted is None or is_there(self._folder):
            return
        with suppress(UnavailableError):
            if self._noted.knows(str(self._folder)):
                raise ConfigError(
                    f"the state directory {self._folder} is missing, but existed at an earlier "
                    f"start: mount its disk; to start afresh there: mkdir {self._folder}"
                )

    def note(self) -> None:
        """Remember the place for later starts, if Redis can be reached."""
        if self._noted is not None:
            with suppress(UnavailableError):
                self._noted.note(str(self._folder))
