"""`python -m esquirell`, and the console script."""

import sys

from esquirell.cli.border import run


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
