"""The command that installs the packages of an extra into this environment."""

import shlex
import sys
from importlib.metadata import requires


def install_command(extra: str) -> str:
    """Return the shell command that installs an extra's packages for the running Python.

    It names the packages themselves, as this project may not be in the package index.
    """
    marker = f'extra == "{extra}"'
    wanted = [
        requirement.partition(";")[0].strip()
        for requirement in requires("esquirell") or ()
        if marker in requirement.replace("'", '"')
    ]
    return shlex.join([sys.executable, "-m", "pip", "install", *wanted])
