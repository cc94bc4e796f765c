"""Where everything of an installed service lies."""

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
    """Write a call of this program for root, whose PATH does not lead to an environment."""
    program = Path(sys.executable).parent / "esquirell"
    command = [str(program)] if program.exists() else [sys.executable, "-m", "esquirell"]
    return shlex.join(["sudo", *command, *arguments])


@dataclass(frozen=True, slots=True)
class Layout:
    """The places below a root: `/`, or the folder of another system that is being prepared."""

    root: Path = Path("/")

    def at(self, path: Path | str) -> Path:
        """Return the place of an absolute path below the root."""
        return self.root / str(path).lstrip("/")

    @property
    def releases(self) -> Path:
        """A folder per release, and the links `current` and `previous`."""
        return self.at(RELEASES)

    @property
    def units(self) -> Path:
        """Where an administrator's units lie."""
        return self.at("/etc/systemd/system")

    @property
    def configuration(self) -> Path:
        """The configuration; without it nothing starts."""
        return self.at(CONFIGURATION)

    @property
    def credentials(self) -> Path:
        """A file per secret, for root alone."""
        return self.configuration.parent / "credentials"

    @property
    def state(self) -> Path:
        """Database, locks and whatever else the service keeps."""
        return self.at(STATE)

    @property
    def command(self) -> Path:
        """Where people, and sudo, find the program."""
        return self.at("/usr/local/bin/esquirell")

    @property
    def packaged(self) -> Path:
        """The unit of Debian's package, which is there where that is installed."""
        return self.at("/usr/lib/systemd/system/esquirell.service")

    def shipped(self) -> dict[Path, Path]:
        """Return what is copied as it is: the source of each file by its place."""
        units = {self.units / path.name: path for path in SHIPPED.glob("esquirell*.*")}
        others = {
            self.at("/etc") / kind / "esquirell.conf": SHIPPED / kind / "esquirell.conf"
            for kind in ("sysusers.d", "tmpfiles.d")
        }
        return units | others | {self.completion: COMPLETION}

    @property
    def completion(self) -> Path:
        """What bash loads when somebody completes the command for the first time."""
        return self.at("/usr/local/share/bash-completion/completions/esquirell")
