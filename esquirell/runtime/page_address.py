"""Where the page is: the URL for a browser on this machine or in its network."""

import socket
from pathlib import Path

from esquirell.settings import WebSettings

ANYWHERE = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - compared, not listened on
HERE = frozenset({"localhost", "127.0.0.1", "::1"})
# Docker and Podman put these into each container. Nobody outside knows a container's name, and its
# ports are published on the machine that it runs on.
CONTAINER = (Path("/.dockerenv"), Path("/run/.containerenv"))
# Avahi answers for NAME.local. Raspberry Pi OS has it, a Debian server does not.
RESPONDER = Path("/run/avahi-daemon/socket")
# An address reserved for documentation (RFC 5737): nothing is sent there, only the route to it
# counts.
ELSEWHERE = ("192.0.2.1", 9)


def page_url(web: WebSettings) -> str:
    """Return where a browser on this machine, or in its network, finds the page."""
    host = web.address
    if host in ANYWHERE:
        host = "localhost" if in_container() else _own_name()
    return _url(host, web)


def url_for_others(web: WebSettings) -> str | None:
    """Return where other machines find the page; None if they can't, or if it is unknown here."""
    if not web.port or web.address in HERE:
        return None
    return None if web.address in ANYWHERE and in_container() else page_url(web)


def _url(host: str, web: WebSettings) -> str:
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{web.port}{web.base_path}/"


def in_container() -> bool:
    """Whether this process runs in a container."""
    return any(file.exists() for file in CONTAINER)


def _own_name() -> str:
    """Return a name or an address of this machine that its network knows."""
    name = f"{socket.gethostname().partition('.')[0]}.local"
    return name if RESPONDER.exists() else _own_address() or name


def _own_address() -> str | None:
    """Return the address that this machine has in its network, if it is in one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(ELSEWHERE)
        except OSError:
            return None
        return str(probe.getsockname()[0])
