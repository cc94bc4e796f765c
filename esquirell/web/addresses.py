"""Where the page is."""

import socket
from pathlib import Path

ANYWHERE = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - compared, not listened on
# Docker and Podman put these into each container. Nobody outside knows a container's name, and its
# ports are published on the machine that it runs on.
CONTAINER = (Path("/.dockerenv"), Path("/run/.containerenv"))


def address_of(address: str, port: int, base: str) -> str:
    """Return where a browser on this machine, or in its network, finds the page."""
    host = _own_name() if address in ANYWHERE else address
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{port}{base}/"


def _own_name() -> str:
    if any(file.exists() for file in CONTAINER):
        return "localhost"
    return f"{socket.gethostname().partition('.')[0]}.local"
