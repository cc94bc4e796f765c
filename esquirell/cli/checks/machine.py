"""The machine: its system, its disk, its clock, and who can read its files."""

import os
import platform
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from esquirell.cli.checks.finding import Finding, advice, fault, fine
from esquirell.cli.moments import local
from esquirell.cli.ownership import may_enter, owner_of, strays, way_in
from esquirell.domain.meter import Meter
from esquirell.domain.reading import iso
from esquirell.runtime.page_address import in_container
from esquirell.settings import Settings
from esquirell.settings.state_files import half_restored

_NEWEST_PYTHON = (3, 14)
_MIB = 1024 * 1024
_FULL = 50 * _MIB
_NARROW = 500 * _MIB
_OTHERS = stat.S_IROTH
# A clock that shows a time before this program was written is wrong.
_OLDEST = datetime(2026, 1, 1, tzinfo=UTC)
_ASK = ("timedatectl", "show", "--property=NTPSynchronized", "--value")
_LIMIT_S = 10
_REMEDY = "set the clock, such as with: sudo timedatectl set-ntp true"


def system() -> Finding:
    """Check whether this system is supported."""
    name = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    if in_container():
        name += ", in a container: the paths below are those inside it"
    if sys.maxsize > 2**32:
        return _python(name)
    remedy = "install the 64-bit Raspberry Pi OS, or another 64-bit system"
    return fault("system", f"{name}: 32-bit systems are not supported", remedy)


def _python(name: str) -> Finding:
    """Check whether this Python has been tested."""
    if sys.version_info[:2] <= _NEWEST_PYTHON:
        return fine("system", name)
    newest = ".".join(map(str, _NEWEST_PYTHON))
    return advice("system", f"{name}: tested up to Python {newest}", "watch it, or use that one")


def state_directory(settings: Settings) -> Finding:
    """Check whether state can be stored, and who else can read it."""
    name, folder = "state directory", settings.state_dir
    there = _nearest(folder)
    if not may_enter(there):
        return fault(name, f"{there} belongs to {owner_of(there)}", way_in(there))
    if not os.access(there, os.W_OK | os.X_OK):
        remedy = "change state_dir, or the owner of that folder"
        return fault(name, f"{there} is not writable for this user", remedy)
    if there != folder:
        return fine(name, f"{folder} is created at the first start")
    if found := strays(folder):
        owner = owner_of(folder)
        message = f"{', '.join(found)} in {folder} belong to root, which locks {owner} out"
        return fault(name, message, f"sudo chown -R {owner}: {folder}")
    if folder.stat().st_mode & 0o077:
        return advice(name, f"other users can read {folder}", f"chmod 700 {folder}")
    return fine(name, f"{folder} is writable, and only by this user")


def interruptions(settings: Settings) -> Iterator[Finding]:
    """Check for a restore that was interrupted: no service starts after it."""
    if problem := half_restored(settings.state_dir):
        message, _, remedy = problem.partition(": ")
        yield fault("restore", message, remedy)


def disk(settings: Settings) -> Finding:
    """Check how much space the disk has left."""
    free = shutil.disk_usage(_nearest(settings.state_dir)).free
    message = f"{free // _MIB} MiB are free for {settings.state_dir}"
    if free > _NARROW:
        return fine("disk", message)
    remedy = "free some space, or set state_dir to a folder on another disk"
    return (advice if free > _FULL else fault)("disk", message, remedy)


def _nearest(folder: Path) -> Path:
    """Return the folder, or the nearest existing parent."""
    return next(path for path in (folder, *folder.parents) if os.access(path, os.F_OK))


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


def clock(
    now: datetime, newest: datetime | None, zone: str, *, synchronized: bool | None
) -> Finding:
    """Check whether the clock can be right, also against the newest stored reading."""
    shown = f"{local(iso(now), zone)} ({zone})"
    if now < _OLDEST:
        return fault("clock", f"{shown} can't be the time", _REMEDY)
    if newest and now < newest:
        message = f"it shows {shown}, but the newest reading is of {local(iso(newest), zone)}"
        return fault("clock", message, _REMEDY)
    if synchronized is False:
        message = f"{shown}, but nothing synchronizes it: readings get whatever time it shows"
        return advice("clock", message, _REMEDY)
    return fine("clock", f"{shown}{', synchronized' if synchronized else ''}")


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
