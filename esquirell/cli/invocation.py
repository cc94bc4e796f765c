"""How this program was called, so that hints name commands as they can be typed."""

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

from esquirell.cli.commands import COMMANDS

NAME = "esquirell"
# Where a service has its program: installed from here, or from a package.
RELEASES, PACKAGED = Path("/opt/esquirell"), Path("/usr/lib/esquirell")
# No setting: `settings.environment`, which takes long to load, knows it as well.
PROGRAM_VARIABLE = "ESQUIRELL_PROGRAM"
# These need no configuration, or name it in another way.
_UNCONFIGURED = frozenset({"demo", "init", "scan", "profiles", "systemd", "--help"})
# Not `sudo esquirell`, nor the end of a path.
_COMMAND = re.compile(
    rf"(?<![\w./-])(?<!sudo ){NAME} (?P<command>{'|'.join([*COMMANDS, '--help'])})\b"
    r"(?P<help>(?: [\w-]+){0,2} --help)?"
)


def program() -> list[str]:
    """Return the words with which the user called us, such as `.venv/bin/esquirell`.

    A container does not know how it is called from outside: its environment names the words, such
    as `docker compose exec worker esquirell`.
    """
    if named := os.environ.get(PROGRAM_VARIABLE):
        return shlex.split(named)
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return [sys.executable, "-m", NAME]
    if called.name != NAME or _is_on_path(called):
        return [NAME]
    return [str(called)]


def is_service_program() -> bool:
    """Return whether this is the program of the service, as `sudo esquirell` calls it."""
    # In a container the program is in the folder of the releases itself.
    home = Path(sys.prefix)
    return home == PACKAGED or home.parent == RELEASES


def as_typed(text: str) -> str:
    """Return a text in which each of our commands can be typed as it stands.

    In a clone `esquirell` is `.venv/bin/esquirell`; a `--config` that was given is repeated. `sudo
    esquirell` is the service's own, and a user who types `python -m esquirell` knows what
    `esquirell` stands for: both stay.
    """
    words = program()
    typed = NAME if words[1:2] == ["-m"] else shlex.join(words)
    config = _config()

    def typed_out(found: re.Match[str]) -> str:
        command, help_ = found["command"], found["help"] or ""
        option = "" if help_ or command in _UNCONFIGURED else config
        return f"{typed}{option} {command}{help_}"

    return _COMMAND.sub(typed_out, text)


def password_command() -> str:
    """Return the command that shows the page's password, for visitors who have not logged in.

    A path that begins at the root could name a user of this machine: it is left out.
    """
    words = program()
    typed = [NAME] if words[1:2] == ["-m"] or Path(words[0]).is_absolute() else words
    config = shlex.split(_config())
    if config and not Path(config[-1]).is_absolute():
        typed = [*typed, *config]
    return shlex.join([*typed, "web", "password"])


def _config() -> str:
    """Return the `--config FILE` of this call with a space before it, or nothing."""
    arguments = sys.argv[1:]
    for number, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == "--config":
            file = value if equals else next(iter(arguments[number + 1 :]), "")
            return f" --config {shlex.quote(file)}" if file else ""
    return ""


def _is_on_path(called: Path) -> bool:
    found = shutil.which(NAME)
    return found is not None and Path(found).resolve() == called.resolve()
