"""Names and addresses of hosts, as people write them into settings."""

import ipaddress
import re

LONGEST = 253
# A resolver takes more than the letters of host names: containers have names with underscores.
_LABEL = re.compile(r"[^\s\x00-\x1f\x7f/:@\[\]?#%,;]{1,63}")
# A resolver reads 10.0.0.010 as octal, and waits for a host named 192.168.1.500, which can't exist.
_LIKE_IPV4 = re.compile(r"\d+(\.\d+){3}", re.ASCII)


def check_host(text: str) -> str:
    """Return the name or address of a host, without blanks around it or brackets.

    Raises ValueError for what no connection could be made to, such as a URL.
    """
    host = text.strip()
    if not host:
        raise ValueError("must not be empty")
    if "://" in host:
        raise ValueError("must be a name or an address alone, without …://")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if _is_address(host):
        return host
    if _LIKE_IPV4.fullmatch(host):
        raise ValueError("must be four numbers from 0 to 255, without zeros before them")
    if ":" in host:
        raise ValueError("must hold no port: that is a setting of its own")
    labels = host.rstrip(".").split(".")
    if len(host) > LONGEST or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("is not the name or the address of a host")
    try:
        host.rstrip(".").encode("idna")
    except UnicodeError:
        raise ValueError("is not the name or the address of a host") from None
    return host


def check_peer(text: str) -> str:
    """Return the name or address of one host to connect to. Raises ValueError."""
    host = check_host(text)
    if _is_address(host):
        address = ipaddress.ip_address(host)
        if address.is_unspecified or address.is_multicast or host == "255.255.255.255":
            raise ValueError(f"must be the address of one device, which {host} is not")
    return host


def nameless(host: str, setting: str) -> str:
    """Return that a name has no address on this machine, and what to do: `setting` holds it."""
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
