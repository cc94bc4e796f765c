"""The configuration file: where to look for it, and how to read it."""

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from esquirell.domain.errors import ConfigError
from esquirell.domain.record import record
from esquirell.settings.toml_text import parse_toml

CONFIG_VARIABLE = "ESQUIRELL_CONFIG"
# A system service keeps its state there; commands that people run must find it.
SERVICE_FOLDER = Path("/etc/esquirell")
SERVICE_STATE = "/var/lib/esquirell"
SEARCHED = (
    Path("esquirell.toml"),
    Path("config/esquirell.toml"),
    Path("/etc/esquirell/esquirell.toml"),
)


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
