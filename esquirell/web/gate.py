"""Checks the sender and the host name of a request before anything else."""

import ipaddress
import re
from collections.abc import Iterable

from tornado.httputil import HTTPServerRequest
from tornado.web import HTTPError

from esquirell.daemon.visitors import KnownHosts
from esquirell.domain.record import record
from esquirell.settings import WebSettings

# Home Assistant's Supervisor, which passes on requests of logged-in users.
SUPERVISOR = "172.30.32.2"
_INGRESS_PATH = re.compile(r"(/[A-Za-z0-9_-]+)+")
_MISDIRECTED = 421


@record
class Visit:
    """One request: the browser's address, whether TLS protects it, and the prefix of links."""

    address: str
    secure: bool
    base: str
    ingress: bool = False


class Gate:
    """Admits requests for one of our host names; trusts only the configured proxy."""

    def __init__(self, web: WebSettings) -> None:
        self._base = web.base_path
        self._proxy = ipaddress.ip_network(web.proxy, strict=False) if web.proxy else None
        self._hosts = KnownHosts(web.hosts)

    def admit(self, request: HTTPServerRequest) -> Visit:
        """Return the visit. Raises HTTPError (421) for a host name that is not ours."""
        peer = _plain(request.remote_ip or "")
        headers = request.headers if self._is_proxy(peer) else {}
        host = _last(headers.get("X-Forwarded-Host")) or request.host
        if not self._hosts.knows(host):
            raise HTTPError(_MISDIRECTED)
        address = _last(headers.get("X-Forwarded-For")) or peer
        protocol = _last(headers.get("X-Forwarded-Proto")) or request.protocol
        return Visit(address, protocol == "https", self._base)

    def _is_proxy(self, peer: str) -> bool:
        return self._proxy is not None and _is_in(peer, (self._proxy,))


class IngressGate:
    """Admits requests from Home Assistant's Supervisor, and no others."""

    def __init__(self, peer: str = SUPERVISOR) -> None:
        self._peer = peer

    def admit(self, request: HTTPServerRequest) -> Visit:
        """Return the visit. Raises HTTPError (403) for any other peer."""
        if _plain(request.remote_ip or "") != self._peer:
            raise HTTPError(403)
        base = request.headers.get("X-Ingress-Path", "").rstrip("/")
        if base and not _INGRESS_PATH.fullmatch(base):
            raise HTTPError(400)
        secure = request.headers.get("X-Forwarded-Proto") == "https"
        return Visit(self._peer, secure, base, ingress=True)


AnyGate = Gate | IngressGate


def _last(header: str | None) -> str:
    """Return what the last proxy added: anything before it may come from the browser itself."""
    return (header or "").rpartition(",")[2].strip()


def _plain(address: str) -> str:
    """Return an IPv4-mapped IPv6 address as IPv4."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)


def _is_in(peer: str, networks: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    return any(address in network for network in networks)
