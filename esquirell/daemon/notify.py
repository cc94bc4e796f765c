"""Reporting the service's state to systemd, through its notification socket (sd_notify(3))."""

import contextlib
import os
import socket

US_PER_S = 1_000_000


def notify(*states: str) -> None:
    """Send states such as `READY=1`, all at once; without systemd nothing happens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel,
    ):
        channel.connect(address)
        channel.sendall("\n".join(states).encode())


def still_starting(status: str, for_s: int) -> None:
    """Report what the start is waiting for, and extend its timeout by this many seconds."""
    notify(f"EXTEND_TIMEOUT_USEC={for_s * US_PER_S}", f"STATUS={status}")


def sign_of_life_every_s(at_most: float) -> float:
    """Return the interval between two keep-alives: half of systemd's watchdog timeout.

    Without a watchdog (sd_watchdog_enabled(3)) it is `at_most`, in seconds.
    """
    limit_us = os.environ.get("WATCHDOG_USEC", "")
    if not limit_us.isdecimal() or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(
        os.getpid()
    ):
        return at_most
    return min(at_most, int(limit_us) / US_PER_S / 2)
