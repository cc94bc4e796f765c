"""Profiles of products, as data: one TOML file per product family."""

import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import ValidationError

from esquirell.domain.errors import ConfigError
from esquirell.domain.profile import Profile


@cache
def shipped() -> dict[str, Profile]:
    """Load all shipped profiles by name."""
    return dict(_load())


def find(name: str, product_id: str = "") -> Profile:
    """Choose a profile by name; `auto` goes by the product id.

    Raises ConfigError when no profile has that name or claims that product.
    """
    if name != "auto":
        return _named(name)
    for profile in shipped().values():
        if product_id and product_id in profile.products:
            return profile
    raise ConfigError(
        'profile = "auto" needs a known product_id; '
        f"set product_id, or set profile to one of {', '.join(shipped())}"
    )


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


def _named(name: str) -> Profile:
    try:
        return shipped()[name]
    except KeyError:
        known = ", ".join(shipped())
        raise ConfigError(f"there is no profile {name}; known are: {known}") from None


def _load() -> Iterator[tuple[str, Profile]]:
    for entry in sorted(files(__name__).iterdir(), key=lambda item: item.name):
        if entry.name.endswith(".toml"):
            name = entry.name.removesuffix(".toml")
            yield name, parse(name, entry.read_text(encoding="utf-8"))
