"""Errors by what the one who catches them does next."""


class EsquirellError(Exception):
    """Base of all errors whose text is one sentence for the user.

    `code` is what an answer over MQTT carries beside the sentence.
    """

    code = "internal"


class ConfigError(EsquirellError):
    """Stop and tell the user which setting to change: the command line exits with 2."""

    code = "internal"


class UnavailableError(EsquirellError):
    """Try again later: the database or Redis is away."""

    code = "unavailable"


class SpoolError(EsquirellError):
    """Keep readings in memory: the place on this machine where they wait can't be used."""

    code = "unavailable"


class DecodeError(EsquirellError):
    """Keep the raw value and say so: a datapoint does not hold what its profile says."""

    code = "internal"


class MeterError(EsquirellError):
    """A meter gave no reading; `code` is the reason as the contract names it."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class MeterUnreachableError(MeterError):
    """Try again at the next poll: `unreachable`, `no_data`, `busy` or `cloud_error`."""


class MeterRejectedError(MeterError):
    """Trying again changes nothing until a setting does: `wrong_key`, `wrong_protocol`."""


class CommandError(EsquirellError):
    """Answer the one who asked: `code` is one of the codes of the contract."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
