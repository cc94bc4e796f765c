"""Profiles of products, as data: one TOML file per product family, and the choice among them."""

from collections.abc import Mapping

from esquirell.domain.errors import ConfigError
from esquirell.domain.profile import Profile
from esquirell.profiles.capture import Trial, try_capture, try_with
from esquirell.profiles.choices import Choices
from esquirell.profiles.document import parse
from esquirell.profiles.shelf import named, own, shipped

__all__ = ["Choices", "Trial", "find", "own", "parse", "shipped", "try_capture", "try_with"]


def find(name: str, product_id: str = "", own: Mapping[str, Profile] | None = None) -> Profile:
    """Choose a profile by name, the user's `own` first; `auto` goes by the product id.

    Raises ConfigError when no profile has that name or claims that product.
    """
    if name != "auto":
        return named(name, own or {})
    for profile in [*(own or {}).values(), *shipped().values()]:
        if product_id and product_id in profile.products:
            return profile
    raise ConfigError(
        'profile = "auto" needs a known product_id; '
        "set product_id, or set profile to one that esquirell profiles list shows"
    )
