"""A virtual environment for the service, built from the packages installed here.

Copied, not downloaded: it works without a network, and what was tried is what will run.
"""

import hashlib
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from esquirell.cli.systemd.layout import PACKAGE, Layout
from esquirell.domain.errors import ConfigError, EsquirellError

# For a slow SD card; compiling the byte code takes most of it.
LIMIT_S = 900
COMPLETE = ".complete"
# Hidden from the service by systemd's ProtectHome=.
HIDDEN = (Path("/home"), Path("/root"), Path("/run/user"))

_PROGRAM = """\
#!{python}
import sys

from esquirell.__main__ import main

sys.exit(main())
"""
NAME = "esquirell"


def base_python() -> Path:
    """Return the Python to create environments from.

    Raises ConfigError when the service could not run it.
    """
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    python = Path(sys.base_prefix).resolve() / "bin" / version
    if any(python.is_relative_to(hidden) for hidden in HIDDEN):
        raise ConfigError(
            f"the service could not run {python}, as home directories are closed to it: install "
            "esquirell with the system's Python (sudo apt install python3 python3-venv)"
        )
    return python


def is_whole(folder: Path) -> bool:
    """Return whether a release was built completely."""
    return (folder / COMPLETE).exists()


def build(folder: Path, python: Path, layout: Layout) -> None:
    """Build a release from what is installed here; an existing one is replaced.

    Raises EsquirellError.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _run(python, "-m", "venv", "--without-pip", folder)
    site = folder / "lib" / python.name / "site-packages"
    copy(closure(), site)
    _write_program(folder, layout)
    _compile(folder, site, layout)
    make_readable(folder)
    (folder / COMPLETE).touch()
    # After a power cut no link may lead to an incomplete release.
    os.sync()


def _write_program(folder: Path, layout: Layout) -> None:
    program = folder / "bin" / "esquirell"
    seen_inside = Path("/") / folder.relative_to(layout.root)
    program.write_text(_PROGRAM.format(python=seen_inside / "bin" / "python"))
    program.chmod(0o755)


def _compile(folder: Path, site: Path, layout: Layout) -> None:
    """Compile all byte code now: later the folder is read-only, and no start should wait for it."""
    unchecked = ("--invalidation-mode", "unchecked-hash")
    seen_inside = ("-s", layout.root, "-p", "/")
    _run(folder / "bin" / "python", "-m", "compileall", "-q", "-j0", *unchecked, *seen_inside, site)


def make_readable(folder: Path) -> None:
    """Let the service's user read a release, whatever the umask of those who installed it was."""
    for path in (folder.parent, folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o555 if path.is_dir() or mode & stat.S_IXUSR else 0o444))


def _run(*command: str | Path) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EsquirellError(f"{command[0]} failed: {error}") from error
    if done.returncode:
        reason = (done.stderr or done.stdout).strip().splitlines()
        raise EsquirellError(f"{command[0]} failed: {reason[-1] if reason else done.returncode}")


def closure() -> dict[str, Distribution]:
    """Return esquirell and all its requirements, by name; of its extras only installed ones."""
    own = distribution(NAME)
    found = {NAME: own}
    waiting = list(_required(own, own.metadata.get_all("Provides-Extra") or ()))
    seen = set()
    while waiting:
        requirement = waiting.pop()
        key = (canonicalize_name(requirement.name), *sorted(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            found[key[0]] = distribution(requirement.name)
        except PackageNotFoundError:
            continue  # an extra that is not installed here
        waiting += _required(found[key[0]], requirement.extras)
    return found


def release_name(packages: dict[str, Distribution]) -> str:
    """Return the name of what is installed here: the version and a short checksum."""
    total = hashlib.sha256()
    for name, package in sorted(packages.items()):
        total.update(f"{name}=={package.version}\n".encode())
    for path in sorted(_own_files()):
        total.update(str(path.relative_to(PACKAGE)).encode() + path.read_bytes())
    return f"{packages[NAME].version}-{total.hexdigest()[:8]}"


def copy(packages: dict[str, Distribution], target: Path) -> None:
    """Copy the packages into a site-packages folder, without programs and byte code."""
    for name, package in packages.items():
        if name == NAME:
            _copy_own(package, target)
        else:
            _copy_files(package, target)


def _required(package: Distribution, extras: Iterable[str]) -> Iterator[Requirement]:
    for line in package.requires or ():
        requirement = Requirement(line)
        environments = [{"extra": extra} for extra in ("", *extras)]
        if requirement.marker is None or any(map(requirement.marker.evaluate, environments)):
            yield requirement


def _own_files() -> Iterator[Path]:
    return (path for path in PACKAGE.rglob("*") if path.is_file() and not _is_byte_code(path))


def _copy_own(package: Distribution, target: Path) -> None:
    """Copy our own package from its place: an editable installation has no list of its files."""
    shutil.copytree(PACKAGE, target / NAME, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("METADATA", "entry_points.txt"):
        text = package.read_text(name)
        if text is not None:
            place = target / f"{NAME}-{package.version}.dist-info" / name
            place.parent.mkdir(exist_ok=True)
            place.write_text(text)


def _copy_files(package: Distribution, target: Path) -> None:
    for path in package.files or ():
        if ".." in path.parts or _is_byte_code(Path(path)):
            continue
        place = target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(str(path.locate()), place)


def _is_byte_code(path: Path) -> bool:
    return "__pycache__" in path.parts
