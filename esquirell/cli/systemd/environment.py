"""A virtual environment for the service, made of the packages that are installed here.

Copied, not downloaded: it works without a network, and what was tried is what will run.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from esquirell.cli.systemd import packages
from esquirell.cli.systemd.layout import Layout
from esquirell.domain.errors import ConfigError, EsquirellError

# On a slow SD card; the byte code of all packages takes most of it.
LIMIT_S = 900
COMPLETE = ".complete"
# What systemd's ProtectHome= hides from the service.
HIDDEN = (Path("/home"), Path("/root"), Path("/run/user"))

_PROGRAM = """\
#!{python}
import sys

from esquirell.__main__ import main

sys.exit(main())
"""


def base_python() -> Path:
    """Return the Python that environments here are made from.

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
    """Return whether a release was built to its end."""
    return (folder / COMPLETE).exists()


def build(folder: Path, python: Path, layout: Layout) -> None:
    """Build a release from what is installed here; what is there is removed.

    Raises EsquirellError.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _run(python, "-m", "venv", "--without-pip", folder)
    site = folder / "lib" / python.name / "site-packages"
    packages.copy(packages.closure(), site)
    _write_program(folder, layout)
    _compile(folder, site, layout)
    (folder / COMPLETE).touch()
    # After a power cut a link must not name a release that is not whole.
    os.sync()


def _write_program(folder: Path, layout: Layout) -> None:
    program = folder / "bin" / "esquirell"
    seen_inside = Path("/") / folder.relative_to(layout.root)
    program.write_text(_PROGRAM.format(python=seen_inside / "bin" / "python"))
    program.chmod(0o755)


def _compile(folder: Path, site: Path, layout: Layout) -> None:
    """Make all byte code now: later nobody may write there, and no start should wait for it."""
    unchecked = ("--invalidation-mode", "unchecked-hash")
    seen_inside = ("-s", layout.root, "-p", "/")
    _run(folder / "bin" / "python", "-m", "compileall", "-q", "-j0", *unchecked, *seen_inside, site)


def _run(*command: str | Path) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EsquirellError(f"{command[0]} failed: {error}") from error
    if done.returncode:
        reason = (done.stderr or done.stdout).strip().splitlines()
        raise EsquirellError(f"{command[0]} failed: {reason[-1] if reason else done.returncode}")
