"""`python -m esquirell`, and the console script."""

import gc
import os
import signal
import sys

# Loading creates sixty to a hundred thousand lasting objects. Python's garbage collector would
# scan them in 150 to 250 rounds, and once more at exit: a quarter of the time of a short command.
LOADED_OBJECTS = 200_000
# Restart with a changed password, see `esquirell.daemon.lifecycle`, which few commands load.
BEGIN_ANEW = 76
# A reload may be asked of them while they load. Other commands end with their terminal.
SERVICES = frozenset({"run", "worker", "beat", "bridge", "web", "flower"})


def main() -> None:
    """Run the command line and exit with its code."""
    gc.set_threshold(LOADED_OBJECTS)
    if not SERVICES.isdisjoint(sys.argv[1:]):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # We have no plugins for pydantic. Searching for them reads the metadata of every installed
    # package, which takes as long as loading pydantic; and a stray one would see what we validate.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        # Takes seconds on a small machine, and Ctrl-C is no error.
        from esquirell.cli.errors import run  # noqa: PLC0415 - see above
    except KeyboardInterrupt:
        sys.exit("esquirell: stopped")
    code = run(sys.argv[1:])
    if code == BEGIN_ANEW:
        # This program again, with the same arguments.
        os.execv(sys.executable, [sys.executable, "-m", "esquirell", *sys.argv[1:]])  # noqa: S606
    # At exit Python would collect garbage that ends with the process anyway.
    gc.freeze()
    sys.exit(code)


if __name__ == "__main__":
    main()
