"""Errors, sorted by what the code that catches them does next."""

from collections.abc import Iterable, Mapping
from typing import Any

from esquirell.domain.nearest import hint


class EsquirellError(Exception):
    """Base of all errors with one sentence for the user.

    `code` accompanies the sentence in answers.
    """

    code = "internal"


class ConfigError(EsquirellError):
    """The user must change a setting; the command line exits with 2."""

    code = "internal"


class InstallationError(EsquirellError):
    """A file of the program is missing or damaged: esquirell must be installed again."""

    def __init__(self, file: str) -> None:
        super().__init__(file)

    def __str__(self) -> str:
        return f"this installation is damaged ({self.args[0]}): install esquirell again"


class DiskError(ConfigError):
    """A file can't be used because of its disk or its permissions; the user must act.

    Nothing is wrong with what was asked for: the command line exits with 1.
    """

    code = "unavailable"


class UnavailableError(EsquirellError):
    """Try again later: the database or Redis is unreachable."""

    code = "unavailable"


class UnstorableError(UnavailableError):
    """Leave out the readings it is about: the database accepts others, but never these."""


class UnreadableError(UnavailableError):
    """Leave out one meter, whose stored counters are damaged. `meter` is its name."""

    def __init__(self, meter: str, sentence: str) -> None:
        super().__init__(meter, sentence)
        self.meter = meter

    def __str__(self) -> str:
        return str(self.args[1])


class SpoolError(EsquirellError):
    """Keep readings in memory: they can't be stored on this machine's disk."""

    code = "unavailable"


class DecodeError(EsquirellError):
    """Keep the raw value and warn: a datapoint does not match its profile."""

    code = "internal"


class CodedError(EsquirellError):
    """An error with a code of its own.

    `args` holds everything it was created from, so that it can be rebuilt from a task's result.
    """

    def __init__(self, code: str, sentence: str, *more: object) -> None:
        super().__init__(code, sentence, *more)
        self.code = code
        self._sentence = sentence

    def __str__(self) -> str:
        return self._sentence


class MeterError(CodedError):
    """There is no reading of a meter; `code` is the reason."""


class MeterUnreachableError(MeterError):
    """Try again at the next poll: `unreachable`, `no_data`, `busy` or `cloud_error`."""


class MeterRejectedError(MeterError):
    """A setting must change before trying again: `wrong_key`, `wrong_protocol`."""


class FetchError(CodedError):
    """None of the meters returned a reading; `meters` has the reason for each."""

    def __init__(self, code: str, sentence: str, meters: Mapping[str, Any]) -> None:
        super().__init__(code, sentence, meters)
        self.meters = meters

    def __repr__(self) -> str:
        """Return the error as lists of tasks show it."""
        return f"FetchError({str(self)!r})"


class CommandError(CodedError):
    """Answer with an error; `code` is one of the codes of answers."""


def unknown_meter(name: str, known: Iterable[str]) -> CommandError:
    """Return the error for a meter that is not among the known ones."""
    meant = hint(name, known, "none is configured")
    return CommandError("unknown_meter", f"there is no meter {name}; {meant}")


class HomeAssistantError(EsquirellError):
    """Warn the user: Home Assistant refused or failed to do something.

    `reason` is Home Assistant's own code.
    """

    code = "task_failed"

    def __init__(self, sentence: str, reason: str = "") -> None:
        super().__init__(sentence, reason)
        self.reason = reason

    def __str__(self) -> str:
        return str(self.args[0])
