"""Where errors are caught: each becomes a sentence and a code."""

import codecs
import errno
import io
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import click

from esquirell.cli.app import app
from esquirell.cli.output import complain
from esquirell.domain.errors import ConfigError, DiskError, EsquirellError, InstallationError

FINE, FAILED, USAGE = 0, 1, 2
# The caller named something missing or invalid: it takes another call, not another try.
_MISNAMED = frozenset({"invalid_payload", "unknown_meter", "unknown_schedule", "unknown_task"})

_PACKAGE = Path(__file__).parents[1]
_SPELLED = {"✓": "ok", "✗": "x", "→": "->", "…": "...", "°": "", "≤": "<=", "≥": ">="}


def run(arguments: Sequence[str]) -> int:
    """Run the command line; return the exit code. Never raises."""
    _open_missing_streams()
    _spell_out_unknown_characters()
    stdout = sys.stdout
    try:
        color = False if os.environ.get("NO_COLOR") else None
        result = app(list(arguments), prog_name="esquirell", standalone_mode=False, color=color)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return FINE
    except BrokenPipeError:
        _let_go_of(sys.stdout)
        return FINE
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - no traceback for users
        code = _explain(error, debug="--debug" in arguments)
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:  # what a full disk has not taken would be tried again at exit
                _let_go_of(stream)
        return code
    except SystemExit:
        # click exits like this, with another stream in place, when the reader of stdout is gone.
        if sys.stdout is stdout:
            raise
        return FINE
    return result if isinstance(result, int) else FINE


def _open_missing_streams() -> None:
    """Open the three standard streams if a shell or a service manager closed them."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8")
            setattr(sys, name, stream)


def _spell_out_unknown_characters() -> None:
    """Replace what the output's encoding lacks: by words for people, by escapes for programs.

    UTF-8, which nearly all terminals have, lacks nothing.
    """
    codecs.register_error("spelled", _spelled)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="spelled" if stream.isatty() else "backslashreplace")


def _spelled(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)  # noqa: S101 - for the type checker
    unknown = error.object[error.start : error.end]
    return "".join(_SPELLED.get(character, "?") for character in unknown), error.end


def _explain(error: BaseException, *, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    if isinstance(error, click.Abort | KeyboardInterrupt) and sys.stderr.isatty():
        click.echo(err=True)  # the terminal shows ^C behind the question
    sentence, code = _judge(error)
    with suppress(OSError):  # where errors go may be full, too: the exit code is what is left
        complain(sentence)
    return code


def _judge(error: BaseException) -> tuple[str, int]:
    match error:
        case click.UsageError():
            return f"{_misuse(error)} (see {_help_of(error.ctx)})", USAGE
        case click.ClickException():
            return error.format_message(), FAILED
        case click.Abort() | KeyboardInterrupt():
            return "stopped", FAILED
        case EsquirellError():
            return str(error), USAGE if _misused(error) else FAILED
        case _:
            return _unexpected(error)


def _misused(error: EsquirellError) -> bool:
    if isinstance(error, ConfigError):
        return not isinstance(error, DiskError)
    return error.code in _MISNAMED


def _misuse(error: click.UsageError) -> str:
    """Return what is wrong with a call, in the form of our other sentences."""
    sentence = error.message.removesuffix(".")
    match error:
        case click.NoSuchOption():
            meant = f"; did you mean {error.possibilities[0]!r}?" if error.possibilities else ""
            return f"there is no option {error.option_name!r}{meant}"
        case click.MissingParameter():
            return f"{_named(error.param)} is missing"
        case click.BadParameter(param=click.Parameter(type=click.Path()) as parameter):
            return f"{_named(parameter)}: {sentence.removeprefix('File ')}"
        case click.BadParameter(
            param=click.Parameter(type=click.types.IntParamType()) as parameter
        ):
            whole = sentence.replace("a valid integer", "a whole number")
            return f"{_named(parameter)}: {whole}"
        case click.BadParameter(param=click.Parameter() as parameter):
            return f"{_named(parameter)}: {sentence}"
        case _:
            return error.format_message().removesuffix(".")


def _named(parameter: click.Parameter | None) -> str:
    """Return an option or argument as it is typed, or as its help names it."""
    if isinstance(parameter, click.Option):
        return parameter.opts[0]
    return (parameter and parameter.human_readable_name.upper()) or "an argument"


def _unexpected(error: BaseException) -> tuple[str, int]:
    if isinstance(error, PermissionError) and error.filename:
        return f"{error.filename} is closed to this user: run this with sudo", USAGE
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        place = error.filename or "what this was written to"
        return f"no space is left for {place}: make room and try again", FAILED
    if _is_ours(error):
        return str(InstallationError(str(error))), FAILED
    kind = type(error).__name__
    return f"an unexpected error: {kind}: {error}; --debug shows where", FAILED


def _is_ours(error: BaseException) -> bool:
    """Whether a module or a file that came with the program is missing or can't be read."""
    if isinstance(error, ImportError):
        from esquirell.cli.requirements import is_required  # noqa: PLC0415 - only errors need it

        return is_required(error.name or "")
    if not isinstance(error, OSError) or not isinstance(error.filename, str):
        return False
    return Path(error.filename).is_relative_to(_PACKAGE)


def _help_of(context: click.Context | None) -> str:
    return f"{context.command_path if context else 'esquirell'} --help"


def _let_go_of(stream: TextIO) -> None:
    """Keep Python from complaining at exit about output that can't be written any more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
