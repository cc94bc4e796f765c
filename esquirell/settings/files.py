"""The configuration file: where to look for it, how to read it, and what is wrong with its TOML."""

import os
import re
import stat
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from esquirell.domain.errors import ConfigError
from esquirell.domain.record import record

CONFIG_VARIABLE = "ESQUIRELL_CONFIG"
# A system service keeps its state there; commands that people run must find it.
SERVICE_FOLDER = Path("/etc/esquirell")
SERVICE_STATE = "/var/lib/esquirell"
SEARCHED = (
    Path("esquirell.toml"),
    Path("config/esquirell.toml"),
    Path("/etc/esquirell/esquirell.toml"),
)

# What to do about the errors of tomllib that leave it open, by how they start.
_REMEDIES = {
    "Cannot declare": "a section may occur once; put its keys together",
    "Cannot overwrite a value": "a key may occur once in a section",
    "Unescaped '\\'": "put the text between single quotes",
}
_INVALID = "Invalid value"
_PLACE = re.compile(r"\(at line ([0-9]+), column ([0-9]+)\)")
_AFTER_A_WORD = re.compile(r"[\s#,\]}]")
# What other formats and languages call true and false.
_TRUTHS = frozenset({"true", "false", "yes", "no", "on", "off"})
# Word processors and web pages put these in place of ".
_TYPOGRAPHIC = frozenset("\u201c\u201d\u201e")


@record
class ConfigFile:
    """A configuration file as it was read, and whether other users can read it too.

    Without a file, `path` is None and relative paths start from the working directory.
    """

    path: Path | None
    tables: dict[str, Any]
    exposed: bool

    @property
    def name(self) -> str:
        """The name in errors."""
        return str(self.path) if self.path else "environment"

    @property
    def source(self) -> Path | None:
        """The absolute path, which stays valid if the process changes its directory."""
        return self.path and self.path.absolute()

    @property
    def folder(self) -> Path:
        """The folder that relative paths start from."""
        return self.path.parent if self.path else Path.cwd()


def find(
    path: Path | None, environ: Mapping[str, str], searched: Sequence[Path] = SEARCHED
) -> ConfigFile | None:
    """Read the named file, or else the first one found; without any, return one without a path.

    Raises ConfigError when it can't be read, is not TOML, or the named one does not exist.
    """
    named = path or _named(environ)
    for candidate in [named] if named else searched:
        try:
            return _read(candidate)
        except (FileNotFoundError, NotADirectoryError) as error:
            if named:
                raise ConfigError(f"{named} does not exist: name another file") from error
        except PermissionError as error:
            raise ConfigError(
                f"{candidate} can't be read by this user: use sudo, or run as its owner"
            ) from error
        except OSError as error:
            raise ConfigError(f"{candidate} can't be read: {error.strerror}") from error
    return None


def locate(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the file that `find` would read, without reading it; None when there is none.

    Raises ConfigError when the named one is not a file.
    """
    named = path or _named(environ)
    found = next((file for file in ([named] if named else SEARCHED) if _is_file(file)), None)
    if named and not found:
        raise ConfigError(f"{named} does not exist: name another file")
    return found and found.absolute()


def profiles_beside(file: Path | None) -> Path | None:
    """Return the folder of the user's own profiles: beside the configuration file."""
    return file and file.parent / "profiles"


class NoConfigurationError(ConfigError):
    """There is no configuration; `finding` says so, `remedy` says how to create one."""

    remedy = "create one with: esquirell init"

    def __init__(self) -> None:
        *others, last = (str(path) for path in SEARCHED)
        self.finding = f"there is no configuration: looked for {', '.join(others)} and {last}"
        super().__init__(f"{self.finding}; {self.remedy}")


def may_exist(file: Path) -> bool:
    """Return whether a file exists, as far as this user may see: a closed folder may hold it."""
    try:
        return file.exists()
    except PermissionError:
        return True


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a parent folder may be closed
        return False


def _named(environ: Mapping[str, str]) -> Path | None:
    text = environ.get(CONFIG_VARIABLE)
    return Path(text) if text else None


def _read(path: Path) -> ConfigFile:
    with path.open("rb") as file:
        exposed = _is_exposed(os.fstat(file.fileno()))
        raw = file.read()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} must be text in UTF-8") from error
    return ConfigFile(path, parse_toml(text, path), exposed)


def _is_exposed(found: os.stat_result) -> bool:
    # root hands a file to a service through its group, as `systemd install` does.
    given = found.st_uid == 0 and found.st_gid != 0
    return bool(found.st_mode & (stat.S_IROTH if given else stat.S_IRGRP | stat.S_IROTH))


def parse_toml(text: str, source: object) -> dict[str, Any]:
    """Return the contents of a TOML text; `source` is what an error calls it.

    Raises ConfigError. No line of the text is part of it, as it may hold a secret.
    """
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # includes thousands of digits or brackets
        raise ConfigError(f"{source} is not valid TOML: {_problem(text, str(error))}") from error


def _problem(text: str, said: str) -> str:
    line, rest = _where(text, said)
    if not _TYPOGRAPHIC.isdisjoint(line):
        return f'{said}: that line has typographic quotation marks; type " in their place'
    if said.startswith(_INVALID):
        return f"{said}: {_instead_of(rest)}"
    remedies = (remedy for start, remedy in _REMEDIES.items() if said.startswith(start))
    return ": ".join([said, *remedies])


def _where(text: str, said: str) -> tuple[str, str]:
    """Return the line that an error is about, and what of it begins there; nothing at the end."""
    found = _PLACE.search(said)
    if not found:
        return "", ""
    line, column = map(int, found.groups())
    here = text.replace("\r\n", "\n").split("\n")[line - 1]
    return here, here[column - 1 :]


def _instead_of(value: str) -> str:
    """Return what to type instead of something that is no value."""
    if not value or value[0] in "#,]}":
        return "a value is missing"
    if _AFTER_A_WORD.split(value)[0].lower() in _TRUTHS:
        return "type true or false, in lower case and without quotes"
    return "text must be in quotes"
