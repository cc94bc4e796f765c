"""How many files and connections a process may have open."""

import logging
import resource

log = logging.getLogger(__name__)

# A meter whose connection stays open takes two; systemd and shells begin with 1024.
ENOUGH = 8192


def allow_enough() -> None:
    """Raise this process's limit of open files: the default is too low for over 500 meters."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(ENOUGH, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError) as error:
        log.warning("no more than %d files and connections can be open: %s", soft, error)
