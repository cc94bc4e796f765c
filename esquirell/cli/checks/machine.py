"""The machine: its system and its disk."""

import os
import platform
import shutil
import sys
from pathlib import Path

from esquirell.cli.checks.finding import Finding, advice, fault, fine
from esquirell.cli.ownership import may_enter, owner_of, strays
from esquirell.settings import Settings

_NEWEST_PYTHON = (3, 14)
_MIB = 1024 * 1024
_FULL = 50 * _MIB
_NARROW = 500 * _MIB


def system() -> Finding:
    """Check whether this system is supported."""
    name = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
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
        remedy = "run this with sudo, or as that user"
        return fault(name, f"{there} belongs to {owner_of(there)}", remedy)
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
        return advice(name, f"other users can look into {folder}", f"chmod 700 {folder}")
    return fine(name, f"{folder} is writable, and for this user alone")


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
