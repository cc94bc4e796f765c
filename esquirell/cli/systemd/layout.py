"""The paths of an installed service."""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).parents[2]
SHIPPED = PACKAGE / "systemd"
COMPLETION = SHIPPED / "completions" / "esquirell.bash"

RELEASES = Path("/opt/esquirell")
STATE = Path("/var/lib/esquirell")
CONFIGURATION = Path("/etc/esquirell/esquirell.toml")
PROGRAM = RELEASES / "current" / "bin" / "esquirell"


def for_root(*arguments: str) -> str:
    """Return the command that root has to type, whose PATH does not lead to an environment."""
    program = Path(sys.executable).parent / "esquirell"
    command = [str(program)] if program.exists() else [sys.executable, "-m", "esquirell"]
    return shlex.join(["sudo", *command, *arguments])


@dataclass(frozen=True, slots=True)
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
