"""Ownership of files: a command run by root must not lock out the service.

The service of a machine runs as its own user, and people administer it as root.
"""

import os
import pwd
import shlex
from collections.abc import Iterable
from pathlib import Path

from esquirell.domain.errors import ConfigError

ROOT = 0


def owner_of(folder: Path) -> str:
    """Return the owner of an existing folder."""
    uid = folder.stat().st_uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def may_enter(folder: Path) -> bool:
    """Return whether this user may look into a folder; a missing one is open to all."""
    try:
        next(folder.iterdir(), None)
    except PermissionError:
        return False
    except OSError:
        return True
    return True


def check_entry(folder: Path) -> None:
    """Raise ConfigError for a state directory that this user may not look into."""
    if not may_enter(folder):
        raise ConfigError(
            f"the state directory {folder} belongs to {owner_of(folder)}: {way_in(folder)}"
        )


def way_in(folder: Path) -> str:
    """Return what helps a user who may not look into a folder."""
    is_stray = folder.stat().st_uid == ROOT and folder.parent.stat().st_uid == os.geteuid()
    if is_stray and os.geteuid() != ROOT:
        return f"take it over: sudo chown -R $USER: {shlex.quote(str(folder))}"
    return "run this with sudo, or as that user"


def refuse_root(state_dir: Path) -> None:
    """Raise ConfigError if a service run by root would use the state of another user."""
    folder = state_dir if state_dir.exists() else state_dir.parent
    if os.geteuid() == ROOT and _belongs_to_another(folder):
        owner = owner_of(folder)
        raise ConfigError(
            f"{folder} belongs to {owner}, and a service that root starts "
            f"would lock that user out: start it with sudo -u {owner}, or let systemd start it"
        )


def strays(folder: Path) -> list[str]:
    """Return the files in a folder that belong to root, although the folder does not."""
    if not _belongs_to_another(folder):
        return []
    return sorted(path.name for path in folder.rglob("*") if path.lstat().st_uid == ROOT)


def hand_over(folder: Path) -> None:
    """Hand what root has created in a folder over to the owner of that folder."""
    if os.geteuid() != ROOT or not _belongs_to_another(folder):
        return
    owner = folder.stat()
    # By descriptor, never through a link: the owner could replace a folder meanwhile.
    for _, folders, files, descriptor in os.fwalk(folder):
        for name in (*folders, *files):
            found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            if found.st_uid == ROOT:
                os.chown(name, owner.st_uid, owner.st_gid, dir_fd=descriptor, follow_symlinks=False)


def give_to_owner_of_folder(files: Iterable[Path]) -> None:
    """Pass files that root has written to the owner of their folder, who must read them."""
    for file in files:
        owner = file.parent.stat()
        if os.geteuid() == ROOT and owner.st_uid != ROOT:
            os.chown(file, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _belongs_to_another(folder: Path) -> bool:
    try:
        return folder.stat().st_uid != ROOT
    except OSError:
        return False  # it does not exist, or this is not root
