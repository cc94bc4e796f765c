"""Host names and addresses in settings."""

import ipaddress
import re

LONGEST = 253
# Resolvers accept more than letters and digits: container names may contain underscores.
_LABEL = re.compile(r"[^\s\x00-\x1f\x7f/:@\[\]?#%,;]{1,63}")
# Resolvers read 10.0.0.010 as octal, and wait for a host named 192.168.1.500, which can't exist.
_LIKE_IPV4 = re.compile(r"\d+(\.\d+){3}", re.ASCII)


def check_host(text: str) -> str:
    """Return a host name or address without surrounding blanks or brackets.

    Raises ValueError for anything else, such as a URL.
    """
    host = text.strip()
    if not host:
        raise ValueError("must not be empty")
    if "://" in host:
        raise ValueError("must be a name or an address only, without …://")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if _is_address(host):
        return host
    if _LIKE_IPV4.fullmatch(host):
        raise ValueError("must be four numbers from 0 to 255, without leading zeros")
    if ":" in host:
        raise ValueError("must not contain a port, which is a setting of its own")
    labels = host.rstrip(".").split(".")
    if len(host) > LONGEST or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("is not a host name or address")
    try:
        host.rstrip(".").encode("idna")
    except UnicodeError:
        raise ValueError("is not a host name or address") from None
    return host


def check_peer(text: str) -> str:
    """Return the name or address of a single host. Raises ValueError."""
    host = check_host(text)
    if _is_address(host):
        address = ipaddress.ip_address(host)
        if address.is_unspecified or address.is_multicast or host == "255.255.255.255":
            raise ValueError(f"must be the address of a single device, not {host}")
    return host


# No more of those that are called private: link-local ones and those for tests are nobody's home.
_HOMES = [
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7", "::1")
]


def is_at_home(host: str) -> bool:
    """Whether this is an address of a private network, or of this machine."""
    return _is_address(host) and any(ipaddress.ip_address(host) in home for home in _HOMES)


def nameless(host: str, setting: str) -> str:
    """Return the sentence for a name without an address; `setting` is where to change it."""
    said = f"the name {host!r} has no address"
    if not host.lower().rstrip(".").endswith(".local"):
        return f"{said}: check {setting}"
    return (
        f"{said} here: put the IP address into {setting}, as names in .local need mDNS (sudo apt "
        "install libnss-mdns) and never work in a container"
    )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
