"""Which modules an installation of esquirell consists of."""

import re
from importlib import metadata

_PROJECT = "esquirell"
_WORD = re.compile(r"[a-z0-9]+")
# Requirements begin with the name: `celery[redis]<5.8,>=5.7; python_version >= "3.11"`.
_REQUIREMENT = re.compile(r"[\w.-]+")
_OPTIONAL = "extra =="


def is_required(module: str) -> bool:
    """Return whether a module is esquirell's or of a package that it requires, installed or not.

    Of a package that is gone only the name is known, which is about that of its module: `paho` of
    paho-mqtt, `tuya_sharing` of tuya-device-sharing-sdk.
    """
    top = module.partition(".")[0]
    if top in {_PROJECT, ""}:
        return bool(top)
    required = _required()
    holding = metadata.packages_distributions().get(top, ())
    is_named = any(_words(top) <= name for name in required)
    return is_named or not required.isdisjoint(map(_words, holding))


def _required() -> set[frozenset[str]]:
    """Return the names of all requirements, and of theirs, as words."""
    found: set[frozenset[str]] = set()
    waiting = [_PROJECT]
    while waiting:
        try:
            lines = metadata.requires(waiting.pop()) or ()
        except metadata.PackageNotFoundError:
            continue
        packages = [_REQUIREMENT.match(line) for line in lines if _OPTIONAL not in line]
        new = [match[0] for match in packages if match and _words(match[0]) not in found]
        found.update(map(_words, new))
        waiting += new
    return found


def _words(name: str) -> frozenset[str]:
    return frozenset(_WORD.findall(name.lower()))
