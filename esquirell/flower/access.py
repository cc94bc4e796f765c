"""Who may see Flower: nothing is answered without the password, whatever it leaves open."""

import hmac
import logging
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable
from dataclasses import field
from pathlib import Path

from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import OutputTransform, RequestHandler

from esquirell.daemon.visitors import KnownHosts, WrongAttempts
from esquirell.domain.record import record
from esquirell.settings import Settings, private_files

log = logging.getLogger(__name__)

# Flower leaves these open to everybody.
OPEN_BY_DESIGN = ("/metrics", "/healthcheck")
TOO_MANY = 429
PASSWORD_BYTES = 18


class AccessControl:
    """Decides who may log in: by HTTP Basic, or without a password where the settings say so.

    `hosts` are further host names of Flower.
    """

    def __init__(
        self, pair: str, *, url_prefix: str, open_metrics: bool, hosts: Iterable[str] = ()
    ) -> None:
        self._pair = pair.encode()
        below = f"/{url_prefix}" if url_prefix else ""
        self._open = tuple(f"{below}{path}" for path in OPEN_BY_DESIGN) if open_metrics else ()
        self._hosts = KnownHosts(hosts)
        self._wrong = WrongAttempts()

    def refusal(self, request: HTTPServerRequest) -> type[RequestHandler] | None:
        """Return the handler for a request that is not admitted; a wrong password is logged."""
        if request.path in self._open:
            return None
        if not self._hosts.knows(request.host):
            return Misdirected
        address = request.remote_ip or ""
        if self._wrong.wait_s(address):
            return TooMany
        given = request.headers.get("Authorization")
        if given is None:
            return Unauthorized
        if hmac.compare_digest(_decoded(given), self._pair):
            return None
        self._wrong.note(address)
        log.warning("a wrong user or password came from %s", address)
        return TooMany if self._wrong.wait_s(address) else Unauthorized

    def wait_s(self, request: HTTPServerRequest) -> int:
        """Return for how many seconds an address with too many failures has to wait."""
        return self._wrong.wait_s(request.remote_ip or "")


class Refusal(RequestHandler):
    """The base of the handlers for requests that are not admitted."""

    def check_xsrf_cookie(self) -> None:
        """Pass: nothing is done here that could be forged."""


class Unauthorized(Refusal):
    """The answer to requests without the password."""

    def prepare(self) -> None:
        """Ask for user and password."""
        self.set_status(401)
        self.set_header("WWW-Authenticate", 'Basic realm="esquirell", charset="UTF-8"')
        self.finish("Log in with Flower's user and password.\n")


class TooMany(Refusal):
    """The answer after several wrong passwords, whatever is sent."""

    def prepare(self) -> None:
        """Answer when to try again."""
        self.set_status(TOO_MANY)
        wait_s = self.application.access.wait_s(self.request)  # type: ignore[attr-defined]  # Site's
        self.set_header("Retry-After", str(wait_s))
        self.finish(f"Too many wrong passwords: try again in {wait_s} s.\n")


class Misdirected(Refusal):
    """The answer under an unknown host name."""

    def prepare(self) -> None:
        """Name the setting."""
        self.set_status(421)
        self.finish("Flower is not known under this name: see hosts in [flower].\n")


class NeverFramed(OutputTransform):
    """Keeps every answer out of the frames of other sites, where clicks could be stolen."""

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        """Add the headers that forbid framing."""
        headers["Content-Security-Policy"] = "frame-ancestors 'none'"
        headers["X-Frame-Options"] = "DENY"
        return super().transform_first_chunk(status_code, headers, chunk, finishing)


def _decoded(authorization: str) -> bytes:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return b64decode(encoded.strip(), validate=True)
    except (Base64Error, ValueError):
        return b""


@record
class Credentials:
    """A user and a password; `made_up` names the file of a generated one that is not shown yet."""

    user: str
    password: str = field(repr=False)
    made_up: Path | None = None

    @property
    def pair(self) -> str:
        """Return user and password in the form of HTTP Basic (RFC 7617)."""
        return f"{self.user}:{self.password}"


def credentials(settings: Settings) -> Credentials:
    """Return the configured password, else the kept one, else generate one and keep it.

    Raises ConfigError when the file that keeps it can't be used.
    """
    user, configured = settings.flower.user, settings.flower.password.get_secret_value()
    if configured:
        return Credentials(user, configured)
    file = settings.state_dir / "flower-password"
    kept, is_new = private_files.kept_secret(file, PASSWORD_BYTES)
    return Credentials(user, kept, file if is_new else None)
