"""Free loopback ports, such that tests that run side by side never choose the same."""

import fcntl
import os
import random
import socket
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Below the range from which the kernel gives ports to clients; each worker has its own part.
FIRST, PER_WORKER = 18_000, 1_500
# Those given out lately may not be in use yet.
_given: deque[int] = deque(maxlen=PER_WORKER // 5)


def free_port() -> int:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 9
    first = FIRST + worker * PER_WORKER
    while True:
        port = random.randrange(first, first + PER_WORKER)
        if port not in _given and _is_free(port):
            _given.append(port)
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextmanager
def tuyas_own_ports() -> Iterator[None]:
    """Have the ports that all devices and programs share for oneself among all tests."""
    with Path(tempfile.gettempdir(), f"esquirell-tests-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
