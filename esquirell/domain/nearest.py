"""Suggestions for misspelt names."""

import re
from collections.abc import Iterable

# So many leading letters are enough to identify a name.
_BEGINNING = 3
# How similar a word and a part of a name must be.
_ALIKE = 0.8
_LISTED = 12


def similar(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` misspells or begins, or a part of which it misspells."""
    from difflib import get_close_matches  # noqa: PLC0415 - only a mistake needs it

    ordered = sorted(known)
    begun = [
        candidate for candidate in ordered if len(name) >= _BEGINNING and candidate.startswith(name)
    ]
    parts = {
        part: candidate for candidate in reversed(ordered) for part in re.split("[_-]", candidate)
    }
    within = [parts[part] for part in get_close_matches(name, parts, n=1, cutoff=_ALIKE)]
    return next(iter([*get_close_matches(name, ordered, n=1), *begun, *within]), None)


def hint(name: str, known: Iterable[str], none: str = "none") -> str:
    """Return what to add to "there is no …": the known name that was meant, else some of them."""
    names = list(known)
    if meant := similar(name, names):
        return f"did you mean {meant!r}?"
    more = ", …" if len(names) > _LISTED else ""
    return f"known: {', '.join(names[:_LISTED]) or none}{more}"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name most similar to `name`; there must be at least one."""
    from difflib import get_close_matches  # noqa: PLC0415 - only a mistake needs it

    return get_close_matches(name, sorted(known), n=1, cutoff=0)[0]
