"""Time zones: which names are valid, and which zone this machine is set to."""

from collections.abc import Mapping
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from esquirell.domain.nearest import nearest

_MARK = "zoneinfo/"


def is_zone(name: str) -> bool:
    """Return whether `name` is an IANA time zone whose rules this machine has."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; not a valid name; a folder of zones
        return False
    return True


def check_zone(name: str) -> str:
    """Return a valid zone name. Raises ValueError naming the nearest one."""
    if not is_zone(name):
        raise ValueError(f"is not an IANA time zone; the nearest one is {_nearest(name)}")
    return name


def machine_zone(environ: Mapping[str, str], etc: Path = Path("/etc")) -> str | None:
    """Return the zone of this machine: `TZ`, or else `/etc/localtime`; None if unknown."""
    if "TZ" in environ:
        named = environ["TZ"].removeprefix(":") or "UTC"
        return named if is_zone(named) else None
    return _from_link(etc / "localtime") or _from_text(etc / "timezone")


def wrong_zone(environ: Mapping[str, str]) -> str | None:
    """Return what is wrong with `TZ`, if it is set and no zone."""
    named = environ.get("TZ", "").removeprefix(":")
    if not named or is_zone(named):
        return None
    return f"TZ is {named!r}, which is no IANA time zone ({_nearest(named)} is the nearest)"


def _nearest(name: str) -> str:
    return nearest(name, available_timezones())


def _from_link(link: Path) -> str | None:
    if not link.exists():
        return "UTC"  # forms that the C library accepts as well
    _, mark, name = str(link.resolve()).rpartition(_MARK)
    return name if mark and is_zone(name) else None


def _from_text(file: Path) -> str | None:
    try:
        name = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return name if is_zone(name) else None
