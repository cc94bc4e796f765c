"""Meters that are dead: connecting to them takes until the caller's patience ends."""

import random
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from benchmarks.devices import PORT, Device

NETWORKS = range(240, 255)
WAITING = 4


@contextmanager
def dead(count: int) -> Iterator[Sequence[Device]]:
    """Have `count` meters at an address that accepts no connections.

    On Linux a full queue of waiting connections makes the system drop further ones, as a
    device without power does.
    """
    address = f"127.{random.choice(NETWORKS)}.{random.randrange(250)}.{random.randrange(1, 250)}"
    with ExitStack() as stack:
        stack.enter_context(socket.create_server((address, PORT), backlog=0))
        for _ in range(WAITING):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex((address, PORT))
        yield [Device(f"d{number:04}", f"bfdead{number:016}", address) for number in range(count)]
