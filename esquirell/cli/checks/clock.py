"""The clock: whether it can be right, and whether anything synchronizes it."""

import shutil
import subprocess
from datetime import UTC, datetime

from esquirell.cli.checks.finding import Finding, advice, fault, fine
from esquirell.domain.reading import iso

# A clock that shows a time before this program was written is wrong.
_OLDEST = datetime(2026, 1, 1, tzinfo=UTC)
_ASK = ("timedatectl", "show", "--property=NTPSynchronized", "--value")
_LIMIT_S = 10
_REMEDY = "set the clock, such as with: sudo timedatectl set-ntp true"


def clock(now: datetime, newest: datetime | None, *, synchronized: bool | None) -> Finding:
    """Check whether the clock can be right, also against the newest stored reading."""
    if now < _OLDEST:
        return fault("clock", f"{iso(now)} can't be the time", _REMEDY)
    if newest and now < newest:
        message = f"it shows {iso(now)}, but the newest reading is of {iso(newest)}"
        return fault("clock", message, _REMEDY)
    if synchronized is False:
        message = f"{iso(now)}, but nothing synchronizes it: readings get whatever time it shows"
        return advice("clock", message, _REMEDY)
    return fine("clock", f"{iso(now)}{', synchronized' if synchronized else ''}")


def synchronized() -> bool | None:
    """Return whether the kernel's clock is synchronized; None where it is unknown.

    This is the kernel's own state (adjtimex(2)), whichever program keeps the time.
    """
    program = shutil.which(_ASK[0])
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, *_ASK[1:]], capture_output=True, text=True, timeout=_LIMIT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None  # a container may have the program without the service behind it
    return {"yes": True, "no": False}.get(done.stdout.strip())
