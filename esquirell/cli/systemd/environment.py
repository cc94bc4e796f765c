"""A virtual environment for the service, built from the packages installed here.

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
    packages.copy(packages.closure(), site)
    _write_program(folder, layout)
    _compile(folder, site, layout)
    (folder / COMPLETE).touch()
    # After a power cut no link may lead to an incomplete release.
    os.sync()


def _write_program(folder: Path, layout: Layout) -> None:
    program = folder / "bin" / "esquirell"
    seen_inside = Path("/") / folder.relative_to(layout.root)
    program.write_text(_PROGRAM.format(python=seen_inside / "bin" / "python"))
    program.chmod(0o755)


def _compile(folder: Path, site: Path, layout: Layout) -> None:
    """Compile all byte code now: later nobody may write there, and no start should wait for it."""
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
