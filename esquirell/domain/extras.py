"""How to install what an extra of this package brings, in this very environment."""

import shlex
import sys
from importlib.metadata import requires


def install_command(extra: str) -> str:
    """Return the shell command that installs the packages of an extra for the Python that runs.

    It names the packages themselves: they are in the package index whether this project is or not.
    """
    marker = f'extra == "{extra}"'
    wanted = [
        requirement.partition(";")[0].strip()
        for requirement in requires("esquirell") or ()
        if marker in requirement.replace("'", '"')
    ]
    return shlex.join([sys.executable, "-m", "pip", "install", *wanted])
