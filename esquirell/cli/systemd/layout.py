"""The paths of an installed service, and its releases."""

import shlex
import shutil
import sys
from pathlib import Path

from esquirell.cli.invocation import RELEASES
from esquirell.domain.errors import EsquirellError
from esquirell.domain.record import record

PACKAGE = Path(__file__).parents[2]
SHIPPED = PACKAGE / "systemd"
COMPLETION = SHIPPED / "completions" / "esquirell.bash"

STATE = Path("/var/lib/esquirell")
CONFIGURATION = Path("/etc/esquirell/esquirell.toml")
PROGRAM = RELEASES / "current" / "bin" / "esquirell"
CURRENT, PREVIOUS = "current", "previous"


def for_root(*arguments: str) -> str:
    """Return the command that root has to type, whose PATH does not lead to an environment."""
    program = Path(sys.executable).parent / "esquirell"
    command = [str(program)] if program.exists() else [sys.executable, "-m", "esquirell"]
    return shlex.join(["sudo", *command, *arguments])


@record
class Layout:
    """The paths below a root: `/`, or the folder of another system that is being prepared."""

    root: Path = Path("/")

    def at(self, path: Path | str) -> Path:
        """Return an absolute path below the root."""
        return self.root / str(path).lstrip("/")

    @property
    def releases(self) -> Path:
        """A folder per release, and the links `current` and `previous`."""
        return self.at(RELEASES)

    @property
    def units(self) -> Path:
        """The folder of an administrator's units."""
        return self.at("/etc/systemd/system")

    @property
    def configuration(self) -> Path:
        """The configuration; without it nothing starts."""
        return self.at(CONFIGURATION)

    @property
    def credentials(self) -> Path:
        """One file per secret, for root only."""
        return self.configuration.parent / "credentials"

    @property
    def state(self) -> Path:
        """Database, locks and everything else that the service keeps."""
        return self.at(STATE)

    @property
    def command(self) -> Path:
        """The path where people, and sudo, find the program."""
        return self.at("/usr/local/bin/esquirell")

    @property
    def packaged(self) -> Path:
        """The unit of the Debian package, which exists if that is installed."""
        return self.at("/usr/lib/systemd/system/esquirell.service")

    def shipped(self) -> dict[Path, Path]:
        """Return the files that are copied unchanged: the source of each by its target."""
        units = {self.units / path.name: path for path in SHIPPED.glob("esquirell*.*")}
        others = {
            self.at("/etc") / kind / "esquirell.conf": SHIPPED / kind / "esquirell.conf"
            for kind in ("sysusers.d", "tmpfiles.d")
        }
        return units | others | {self.completion: COMPLETION}

    @property
    def completion(self) -> Path:
        """What bash loads when the command is completed for the first time."""
        return self.at("/usr/local/share/bash-completion/completions/esquirell")


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
