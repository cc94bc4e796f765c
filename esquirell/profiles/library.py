"""The library of profiles: the shipped ones and the user's own, one TOML file each."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

from esquirell.domain.errors import ConfigError, InstallationError
from esquirell.domain.nearest import similar
from esquirell.domain.profile import Profile
from esquirell.profiles.document import parse, read

_ENDING = ".toml"
_TITLE = re.compile(r'^title = "(.*)"$', re.MULTILINE)

_PACKAGE = "esquirell.profiles"


@cache
def shipped() -> dict[str, Profile]:
    """Load all shipped profiles by name."""
    return {name: _load(name) for name in _names()}


@cache
def titles() -> dict[str, str]:
    """Return the titles of the shipped profiles by name: the whole profiles take four megabytes."""
    found = {name: _TITLE.search(packaged_text(name + _ENDING)) for name in _names()}
    return {name: title[1] if title else name for name, title in found.items()}


@cache
def product_titles() -> dict[str, str]:
    """Return the titles of the shipped profiles by the product ids that they are for."""
    return {id_: profile.title for profile in shipped().values() for id_ in profile.products}


@cache
def _load(name: str) -> Profile:
    """Load one shipped profile: a meter that names its own needs no other."""
    return parse(name, packaged_text(name + _ENDING))


@cache
def _names() -> tuple[str, ...]:
    return _packaged_names(_ENDING)


def own(directory: Path | None) -> dict[str, Profile]:
    """Load the user's own profiles by name; a missing directory has none.

    Raises ConfigError when one is invalid or can't be read.
    """
    return {file.stem: read(file) for file in _own_files(directory)}


def own_usable(directory: Path | None) -> tuple[dict[str, Profile], dict[str, str]]:
    """Return the user's own profiles by name, and of those that can't be used why.

    Raises ConfigError when the directory can't be read.
    """
    usable, damaged = {}, {}
    for file in _own_files(directory):
        try:
            usable[file.stem] = read(file)
        except ConfigError as error:
            damaged[file.stem] = str(error)
    return usable, damaged


def _own_files(directory: Path | None) -> list[Path]:
    if directory is None:
        return []
    try:
        return sorted(file for file in directory.iterdir() if file.name.endswith(_ENDING))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(f"{directory} can't be read: {error.strerror}") from error


def find(
    name: str, own: Mapping[str, Profile] | None = None, damaged: Mapping[str, str] | None = None
) -> Profile:
    """Return a profile by name, the user's `own` first.

    Raises ConfigError when it is among the `damaged`, and with a similar name when there is none.
    """
    if own and name in own:
        return own[name]
    if damaged and name in damaged:
        raise ConfigError(damaged[name])
    if name in _names():
        return _load(name)
    meant = similar(name, {*_names(), *(own or {})})
    hint = f"; did you mean {meant!r}?" if meant else "."
    raise ConfigError(f"there is no profile {name!r}{hint} See esquirell profiles list")


def _packaged_names(ending: str) -> tuple[str, ...]:
    """Return the names of the files that end so, without that ending, sorted."""
    found = sorted(entry.name for entry in files(_PACKAGE).iterdir())
    return tuple(name.removesuffix(ending) for name in found if name.endswith(ending))


def packaged_text(name: str) -> str:
    """Return what a file holds. Raises InstallationError when it is missing or unreadable."""
    try:
        return files(_PACKAGE).joinpath(name).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise damaged_file(name, error) from error


def damaged_file(name: str, error: Exception) -> InstallationError:
    """Return the error that names a file and what is wrong with it."""
    reason = (isinstance(error, OSError) and error.strerror) or error
    return InstallationError(f"{_PACKAGE}/{name}: {reason}")
