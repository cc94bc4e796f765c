"""What a misspelt name was probably meant to be."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str:
    """Give the known name that is most like `name`; there has to be at least one."""
    return get_close_matches(name, sorted(known), n=1, cutoff=0)[0]
