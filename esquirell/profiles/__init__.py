"""Profiles of products, as data: one TOML file per product family, and the choice among them."""

from esquirell.profiles.capture import Trial, try_capture, try_with
from esquirell.profiles.choices import Choices
from esquirell.profiles.document import parse
from esquirell.profiles.library import find, own, shipped, titles

__all__ = [
    "Choices",
    "Trial",
    "find",
    "own",
    "parse",
    "shipped",
    "titles",
    "try_capture",
    "try_with",
]
