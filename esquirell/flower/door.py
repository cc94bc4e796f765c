"""The door: nothing is answered without the password, whatever Flower itself leaves open."""

import hmac
import logging
from base64 import b64decode
from binascii import Error as Base64Error

from tornado.httputil import HTTPServerRequest
from tornado.web import RequestHandler

log = logging.getLogger(__name__)

# Flower answers these to everybody.
OPEN_BY_DESIGN = ("/metrics", "/healthcheck")


class Door:
    """Knows who may come in: by HTTP Basic, and without it where the settings say so."""

    def __init__(self, pair: str, *, url_prefix: str, open_metrics: bool) -> None:
        self._pair = pair.encode()
        below = f"/{url_prefix}" if url_prefix else ""
        self._open = tuple(f"{below}{path}" for path in OPEN_BY_DESIGN) if open_metrics else ()

    def admits(self, request: HTTPServerRequest) -> bool:
        """Return whether a request may be answered; one with a wrong password is logged."""
        if request.path in self._open:
            return True
        given = request.headers.get("Authorization")
        if given is None:
            return False
        if hmac.compare_digest(_decoded(given), self._pair):
            return True
        log.warning("a wrong user or password came from %s", request.remote_ip)
        return False


class Closed(RequestHandler):
    """What everybody else sees."""

    def check_xsrf_cookie(self) -> None:
        """Pass: nothing is done here that could be forged."""

    def prepare(self) -> None:
        """Ask for user and password."""
        self.set_status(401)
        self.set_header("WWW-Authenticate", 'Basic realm="esquirell", charset="UTF-8"')
        self.finish("Flower asks for its user and password.\n")


def _decoded(authorization: str) -> bytes:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return b64decode(encoded.strip(), validate=True)
    except (Base64Error, ValueError):
        return b""
