"""The packages that esquirell consists of, as installed here."""

import hashlib
import shutil
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from esquirell.cli.systemd.layout import PACKAGE

NAME = "esquirell"


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
