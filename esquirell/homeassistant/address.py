"""The address of Home Assistant, and whether an administrator's token may be sent to it."""

import socket
from ipaddress import IPv6Address, ip_address
from typing import Any
from urllib.parse import urlsplit

from tornado.ioloop import IOLoop
from tornado.netutil import Resolver

from esquirell.domain.errors import ConfigError

API = "/api/websocket"
# The address from within an app; the name resolves to a private address.
SUPERVISOR = "ws://supervisor/core/websocket"


def websocket_url(url: str) -> str:
    """Return the websocket URL of a Home Assistant, from the URL of its page."""
    return url.replace("http", "ws", 1) + API


class PrivateResolver(Resolver):
    """Resolves names, and rejects public addresses: for unencrypted connections.

    The connection goes to exactly the addresses that were checked.
    """

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[tuple[int, Any]]:
        """Return the addresses of a name. Raises ConfigError and OSError."""
        found = await IOLoop.current().run_in_executor(
            None, socket.getaddrinfo, host, port, family, socket.SOCK_STREAM
        )
        addresses: list[tuple[int, Any]] = [(number, address) for number, *_, address in found]
        for _, address in addresses:
            if not is_private(address[0]):
                raise ConfigError(
                    f"home_assistant.url: {host} is {address[0]}, a public address, and the token "
                    "would be sent unencrypted: use https"
                )
        return addresses


def is_private(address: str) -> bool:
    """Return whether an IP address belongs to this machine or to a private network."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return found.is_private or found.is_loopback or found.is_link_local


def is_encrypted(url: str) -> bool:
    """Return whether a connection to this address is encrypted."""
    return urlsplit(url).scheme in {"https", "wss"}
