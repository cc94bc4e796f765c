"""Profiles of products, as data: one TOML file per product family, and the choice among them."""

from esquirell.profiles.choices import Choices
from esquirell.profiles.document import parse
from esquirell.profiles.library import find, own, own_usable, product_titles, shipped, titles

__all__ = [
    "Choices",
    "find",
    "own",
    "own_usable",
    "parse",
    "product_titles",
    "shipped",
    "titles",
]
