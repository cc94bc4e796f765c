"""A process may open as many files as its meters need."""

import subprocess
import sys

ASK = """
import resource
from esquirell.daemon.open_files import allow_enough
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
allow_enough()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def limits_after(soft: int, hard: int) -> str:
    """Start a process with these limits, as a process can't raise them again."""
    command = [sys.executable, "-c", ASK.format(soft=soft, hard=hard)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_limit_is_raised_as_far_as_it_may_be() -> None:
    assert limits_after(256, 1024) == "1024 1024"


def test_a_limit_that_is_high_already_stays() -> None:
    assert limits_after(1024, 1024) == "1024 1024"
