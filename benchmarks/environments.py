"""Environments of Python: each system that is measured has one, as a user would install it."""

import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from benchmarks.programs import ROOT, MissingError, program

CACHE = ROOT / ".cache" / "peers"
OURS = CACHE / "esquirell"
INSTALL_S = 180.0


@cache
def ours() -> str:
    """Return a Python with what esquirell needs and no more, in the versions of the lock file.

    Libraries also load what they find: with the tools for developers around, a service has
    2.5 MiB more. Raises MissingError when it can't be installed.
    """
    sync = ["sync", "--quiet", "--frozen", "--no-dev", "--compile-bytecode"]
    _run([_uv(), *sync, "--python", sys.executable], "what esquirell needs", OURS)
    return str(OURS / "bin" / "python")


def installed(requirement: str) -> Path:
    """Install a peer into an environment of its own, once; return its Python.

    Raises MissingError when that fails.
    """
    folder = CACHE / requirement.replace("==", "-")
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        _install(requirement, folder, python)
        (folder / "ready").touch()
    return python


def _install(requirement: str, folder: Path, python: Path) -> None:
    make = ["venv", "--quiet", "--clear", "--python", sys.executable, str(folder)]
    into = ["--python", str(python), requirement]
    fill = ["pip", "install", "--quiet", "--compile-bytecode", *into]
    for step in (make, fill):
        _run([_uv(), *step], requirement, folder)


def _run(command: Sequence[str], what: str, folder: Path) -> None:
    where = os.environ | {"UV_PROJECT_ENVIRONMENT": str(folder)}
    try:
        subprocess.run(
            command, cwd=ROOT, env=where, check=True, capture_output=True, timeout=INSTALL_S
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise MissingError(f"{what} can't be installed") from error


def _uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else program("uv")
