"""How this program was called, so that hints name commands as they can be typed."""

import re
import shlex
import shutil
import sys
from pathlib import Path

from esquirell.cli.commands import COMMANDS

NAME = "esquirell"
# Not `sudo esquirell`, nor the end of a path.
_COMMAND = re.compile(rf"(?<![\w./-])(?<!sudo ){NAME}(?= (?:{'|'.join([*COMMANDS, '--help'])})\b)")


def program() -> list[str]:
    """Return the words with which the user called us, such as `.venv/bin/esquirell`."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return [sys.executable, "-m", NAME]
    if called.name != NAME or _is_on_path(called):
        return [NAME]
    return [str(called)]


def as_typed(text: str) -> str:
    """Return a text in which each of our commands begins as the user has to type it.

    In a clone `esquirell` is `.venv/bin/esquirell`. `sudo esquirell` is the service's own, and
    whoever types `python -m esquirell` knows what `esquirell` stands for: both stay.
    """
    words = program()
    return text if len(words) > 1 else _COMMAND.sub(lambda _: shlex.quote(words[0]), text)


def _is_on_path(called: Path) -> bool:
    found = shutil.which(NAME)
    return found is not None and Path(found).resolve() == called.resolve()
