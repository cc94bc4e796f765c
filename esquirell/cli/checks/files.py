"""Files with keys that other users of the machine can read."""

import stat
from collections.abc import Iterator
from pathlib import Path

from esquirell.cli.checks.finding import Finding, advice
from esquirell.domain.meter import Meter

_OTHERS = stat.S_IROTH


def exposed(meters: tuple[Meter, ...], source: Path | None) -> Iterator[Finding]:
    """Check for a devices.json, which holds all keys, and for key files that anyone can read."""
    files = {meter.mapping_file for meter in meters if meter.mapping_file}
    if source is not None:
        files |= {*source.parent.glob("*.key"), *source.parent.glob("devices.json")}
    for file in sorted(files):
        if _readable(file):
            yield advice("keys", f"other users can read {file}", f"chmod 600 {file}")


def _readable(file: Path) -> bool:
    try:
        return bool(file.stat().st_mode & _OTHERS)
    except OSError:
        return False
