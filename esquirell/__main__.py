"""`python -m esquirell`, and the console script."""

import gc
import os
import sys

from esquirell.cli.errors import run

# Loading makes some sixty to a hundred thousand objects that stay. Python's collector would look
# for garbage among them in 150 to 250 rounds, and at the end once more: a quarter of the time that
# a short command takes.
LOADED_OBJECTS = 200_000
# A service with a changed password: `esquirell.daemon.renewal`, which few commands load.
BEGIN_ANEW = 76


def main() -> None:
    """Run the command line and exit with its code."""
    gc.set_threshold(LOADED_OBJECTS)
    # We have no plugins for pydantic. To look for some it reads the metadata of every package that
    # is installed, which takes as long as to load it; and a stray one would see what we check.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    code = run(sys.argv[1:])
    if code == BEGIN_ANEW:
        # Ours again, with the arguments that it has.
        os.execv(sys.executable, [sys.executable, "-m", "esquirell", *sys.argv[1:]])  # noqa: S606
    # At its end Python would look for garbage in all that ends with the process anyway.
    gc.freeze()
    sys.exit(code)


if __name__ == "__main__":
    main()
