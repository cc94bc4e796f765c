"""A profile as a TOML document: parsed and validated, with errors in sentences."""

import re
import tomllib
from pathlib import Path

from pydantic import ValidationError

from esquirell.domain.errors import ConfigError
from esquirell.domain.profile import Profile
from esquirell.profiles.sentences import first_sentence
from esquirell.profiles.soundness import problems

LARGEST_FILE = 256 * 1024
AUTO = "auto"
_NAME = re.compile(r"[a-z0-9_-]{1,64}")


def read(file: Path) -> Profile:
    """Read a user's own profile; its name is the file's. Raises ConfigError."""
    text = read_text(file, LARGEST_FILE, "profile")
    _check_name(file)
    return parse(file.stem, text, str(file))


def read_text(file: Path, most: int, kind: str) -> str:
    """Read a file of at most `most` bytes. Raises ConfigError, which calls it a `kind`."""
    try:
        if file.exists() and not file.is_file():  # opening a pipe would wait for its other end
            raise ConfigError(f"{file} is not a file: name a {kind}")
        with file.open("rb") as stream:
            raw = stream.read(most + 1)
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror}") from error
    if len(raw) > most:
        raise ConfigError(f"{file} is larger than {most // 1024} KiB: that is not a {kind}")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} must be text in UTF-8") from error


def parse(name: str, text: str, where: str = "") -> Profile:
    """Parse a profile from TOML; errors call it `where`. Raises ConfigError with the first one."""
    where = where or f"profile {name}"
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where} is not valid TOML: {error}") from error
    if "name" in data:
        raise ConfigError(f"{where}: name is not allowed: a profile is named after its file")
    try:
        profile = Profile.model_validate(data | {"name": name})
    except ValidationError as error:
        raise ConfigError(f"{where}: {first_sentence(error)}") from error
    for problem in problems(profile):
        raise ConfigError(f"{where}: {problem}")
    return profile


def _check_name(file: Path) -> None:
    if file.stem == AUTO or not _NAME.fullmatch(file.stem):
        raise ConfigError(
            f"{file}: a profile is named after its file, whose name may hold only a-z, 0-9, _ "
            f'and - and may not be "{AUTO}"'
        )
