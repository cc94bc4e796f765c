"""Errors, sorted by what the code that catches them does next."""

from collections.abc import Mapping
from typing import Any


class EsquirellError(Exception):
    """Base of all errors whose text is one sentence for the user.

    `code` is what an answer over MQTT carries beside the sentence.
    """

    code = "internal"


class ConfigError(EsquirellError):
    """Stop and tell the user which setting to change: the command line exits with 2."""

    code = "internal"


class InstallationError(EsquirellError):
    """Tell the user to install esquirell again: a file of the program is missing or damaged."""

    def __init__(self, file: str) -> None:
        super().__init__(file)

    def __str__(self) -> str:
        """Return the sentence."""
        return f"this installation is damaged ({self.args[0]}): install esquirell again"


class DiskError(ConfigError):
    """Tell the user what to do about a file that the disk or its rights keep from being used.

    Nothing is wrong with what was asked for: the command line exits with 1.
    """

    code = "unavailable"


class UnavailableError(EsquirellError):
    """Try again later: the database or Redis is unreachable."""

    code = "unavailable"


class UnstorableError(UnavailableError):
    """Leave out what it is about: the database takes other readings, and these never."""


class UnreadableError(UnavailableError):
    """Leave out one meter: what is stored of its counters is damaged. `meter` is its name."""

    def __init__(self, meter: str, sentence: str) -> None:
        super().__init__(meter, sentence)
        self.meter = meter

    def __str__(self) -> str:
        """Return the sentence."""
        return str(self.args[1])


class SpoolError(EsquirellError):
    """Keep readings in memory: the place on this machine where they wait can't be used."""

    code = "unavailable"


class DecodeError(EsquirellError):
    """Keep the raw value and say so: a datapoint does not hold what its profile says."""

    code = "internal"


class CodedError(EsquirellError):
    """An error with a code of its own.

    All that it was made from is in `args`: so it can be rebuilt where a task's result is read.
    """

    def __init__(self, code: str, sentence: str, *more: object) -> None:
        super().__init__(code, sentence, *more)
        self.code = code
        self._sentence = sentence

    def __str__(self) -> str:
        """Return the sentence."""
        return self._sentence


class MeterError(CodedError):
    """A meter gave no reading; `code` is the reason."""


class MeterUnreachableError(MeterError):
    """Try again at the next poll: `unreachable`, `no_data`, `busy` or `cloud_error`."""


class MeterRejectedError(MeterError):
    """Trying again changes nothing until a setting does: `wrong_key`, `wrong_protocol`."""


class FetchError(CodedError):
    """No meter that was asked gave a reading; `meters` says for each why."""

    def __init__(self, code: str, sentence: str, meters: Mapping[str, Any]) -> None:
        super().__init__(code, sentence, meters)
        self.meters = meters

    def __repr__(self) -> str:
        """Write it as lists of tasks show it."""
        return f"FetchError({str(self)!r})"


class CommandError(CodedError):
    """Answer with an error: `code` is one of the codes of answers."""


class HomeAssistantError(EsquirellError):
    """Warn the user: Home Assistant refused something, or did not do it.

    `reason` is its own code for what it refused.
    """

    code = "task_failed"

    def __init__(self, sentence: str, reason: str = "") -> None:
        super().__init__(sentence, reason)
        self.reason = reason

    def __str__(self) -> str:
        """Return the sentence."""
        return str(self.args[0])
