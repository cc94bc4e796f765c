"""The releases on a machine: the current one, and the previous one to go back to."""

import shutil
from pathlib import Path

from esquirell.cli.systemd.layout import Layout
from esquirell.domain.errors import EsquirellError

CURRENT, PREVIOUS = "current", "previous"


class Releases:
    """Folders, one per release, and two links to them."""

    def __init__(self, layout: Layout) -> None:
        self._folder = layout.releases

    @property
    def current(self) -> str | None:
        """The name of the release that runs at the next start."""
        return self._named(CURRENT)

    @property
    def previous(self) -> str | None:
        """The name of the previous release."""
        return self._named(PREVIOUS)

    def use(self, name: str) -> None:
        """Make a release the current one; keep only this and the previous one."""
        before = self.current
        if before is not None and before != name:
            self._link(PREVIOUS, before)
        self._link(CURRENT, name)
        self._remove_others()

    def roll_back(self) -> str:
        """Go back to the previous release; return its name. Raises EsquirellError."""
        before = self.previous
        if before is None:
            raise EsquirellError("there is no previous release to go back to")
        self.use(before)
        return before

    def _named(self, link: str) -> str | None:
        path = self._folder / link
        return path.readlink().name if path.is_symlink() and path.is_dir() else None

    def _link(self, link: str, name: str) -> None:
        """Point a link at a release, atomically."""
        new = self._folder / f".{link}"
        new.unlink(missing_ok=True)
        new.symlink_to(name)
        new.replace(self._folder / link)

    def _remove_others(self) -> None:
        kept = {self.current, self.previous}
        for path in self._folder.iterdir():
            if path.is_dir() and not path.is_symlink() and path.name not in kept:
                shutil.rmtree(path, ignore_errors=True)


def remove(folder: Path) -> None:
    """Remove a folder with its contents, if it exists."""
    shutil.rmtree(folder, ignore_errors=True)
