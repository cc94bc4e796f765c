"""Where the page is."""

import socket

ANYWHERE = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - compared, not listened on


def address_of(address: str, port: int, base: str) -> str:
    """Return where a browser on this machine, or in its network, finds the page."""
    host = f"{socket.gethostname().partition('.')[0]}.local" if address in ANYWHERE else address
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{port}{base}/"
