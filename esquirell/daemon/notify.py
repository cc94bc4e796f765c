"""Telling systemd how the service is doing, by its notification socket (sd_notify(3))."""

import contextlib
import os
import socket


def notify(state: str) -> None:
    """Send a state such as `READY=1`; without systemd nothing happens."""
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
        channel.sendall(state.encode())
