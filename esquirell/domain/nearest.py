"""What a misspelt name was probably meant to be."""

from collections.abc import Iterable

# So many letters of a name are enough to mean it.
_BEGINNING = 3


def similar(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` misspells or begins, if there is one."""
    from difflib import get_close_matches  # noqa: PLC0415 - only a mistake needs it

    ordered = sorted(known)
    begun = [one for one in ordered if len(name) >= _BEGINNING and one.startswith(name)]
    return next(iter([*get_close_matches(name, ordered, n=1), *begun]), None)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that is most like `name`; there has to be at least one."""
    from difflib import get_close_matches  # noqa: PLC0415 - only a mistake needs it

    return get_close_matches(name, sorted(known), n=1, cutoff=0)[0]
