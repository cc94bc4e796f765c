"""Meter names derived from the names of devices."""

import re
import unicodedata
from collections.abc import Container

from esquirell.domain.meter import as_shown

LONGEST = 64

# Letters that do not decompose into a plain letter and an accent.
_SPELT = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d"}
)


def slug(text: str) -> str:
    """Return a name of a-z, 0-9, _ and -: `Küche Steckdose` becomes `kueche-steckdose`.

    Empty if no character can be converted.
    """
    composed = unicodedata.normalize("NFC", text.lower()).translate(_SPELT)
    plain = unicodedata.normalize("NFKD", composed).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9_]+", "-", plain.lower()).strip("-")[:LONGEST].rstrip("-")


def name_and_label(text: str) -> tuple[str, str]:
    """Return the name that a text becomes, and the text as a label for people if it differs.

    `Küche` becomes `kueche`, `Küche`, and `pv` becomes `pv` without a label.
    """
    shown = as_shown(text)
    name = slug(shown)
    return name, "" if name == shown else shown


def unique_slug(text: str, taken: Container[str]) -> str:
    """Return a slug that is not taken: `plug`, `plug-2`; `meter-1` if there is no letter."""
    base = slug(text)
    if base and base not in taken:
        return base
    number = 2 if base else 1
    while (name := _numbered(base or "meter", number)) in taken:
        number += 1
    return name


def _numbered(base: str, number: int) -> str:
    tail = f"-{number}"
    return base[: LONGEST - len(tail)] + tail
