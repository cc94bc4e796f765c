"""Profiles on the shelf: those that are shipped and the user's own, one TOML file each."""

import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from esquirell.domain.errors import ConfigError
from esquirell.domain.profile import Profile


@cache
def shipped() -> dict[str, Profile]:
    """Load all shipped profiles by name."""
    return dict(_load(files("esquirell.profiles").iterdir()))


def own(directory: Path | None) -> dict[str, Profile]:
    """Load the user's own profiles by name; a directory that is not there holds none.

    Raises ConfigError when one is faulty or can't be read.
    """
    if directory is None or not directory.is_dir():
        return {}
    try:
        return dict(_load(directory.iterdir()))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the profiles in {directory} can't be read: {error}") from error


def parse(name: str, text: str) -> Profile:
    """Read one profile from TOML. Raises ConfigError with what is wrong and where."""
    try:
        data: dict[str, Any] = tomllib.loads(text)
        return Profile.model_validate({**data, "name": name})
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"profile {name} is no valid TOML: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"profile {name}: {place}: {first['msg']}") from error


def _load(entries: Iterable[Traversable]) -> Iterator[tuple[str, Profile]]:
    for entry in sorted(entries, key=lambda item: item.name):
        if entry.name.endswith(".toml"):
            name = entry.name.removesuffix(".toml")
            yield name, parse(name, entry.read_text(encoding="utf-8"))
