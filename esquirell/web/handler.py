"""The base of all handlers of the page: login, permissions, headers, texts and errors."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from html import escape
from http import HTTPStatus
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from tornado.web import Finish, HTTPError, RequestHandler

from esquirell.domain.errors import EsquirellError
from esquirell.web.formats import Formats, by_energy_first
from esquirell.web.gate import Visit
from esquirell.web.json_text import encode
from esquirell.web.sessions import COOKIE, DAYS
from esquirell.web.site import Lane, Shared, Site
from esquirell.web.texts import Texts, best_language, texts_of

log = logging.getLogger(__name__)

Result = TypeVar("Result")

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
    "Server": "esquirell",
}
# Home Assistant embeds the page in its own.
INGRESS_HEADERS = {
    "Content-Security-Policy": HEADERS["Content-Security-Policy"].replace(
        "frame-ancestors 'none'", "frame-ancestors 'self'"
    ),
    "X-Frame-Options": "SAMEORIGIN",
}
LOGIN_KEPT_S = DAYS * 86_400
# Read-only methods need no XSRF token.
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class ProblemError(HTTPError):
    """An error of ours as an HTTP answer: its sentence is meant for users."""

    def __init__(self, error: EsquirellError) -> None:
        super().__init__(status_of(error.code))
        self.error = error


class Handler(RequestHandler):
    """Answers a request if its host name is ours and its sender is logged in.

    `is_open`: answered without a login, too. `page` is its entry in the navigation.
    """

    application: Site
    is_open = False
    page = ""
    visit = Visit("", secure=False, base="")
    session: str | None = None

    @property
    def site(self) -> Shared:
        """What all listeners of the page share."""
        return self.application.shared

    def set_default_headers(self) -> None:
        """Forbid browsers everything that the page does not need."""
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> None:
        """Identify the sender, and stop requests without permission."""
        self.visit = self.application.gate.admit(self.request)
        if self.visit.ingress:
            for name, value in INGRESS_HEADERS.items():
                self.set_header(name, value)
        self.identify()
        if not self.may_pass():
            self.refuse()
        # Methods that a handler does not have are answered with 405, by Tornado.
        if self.request.method in self.methods and self.request.method not in SAFE:
            self.check_token_of_page()

    def on_finish(self) -> None:
        """Free memory after the first view of a page."""
        self.site.templates.tidy()

    def check_xsrf_cookie(self) -> None:
        """Do nothing: Tornado would check the XSRF token before the sender is identified."""

    def check_token_of_page(self) -> None:
        """Refuse a change without the XSRF token of our page. Raises HTTPError (403)."""
        super().check_xsrf_cookie()

    def _get_raw_xsrf_token(self) -> tuple[int | None, bytes, float]:
        """Return the XSRF token of the session; without a session, Tornado's from a cookie.

        A cookie could have been set by any other service on this host, whatever its port.
        """
        if self.session is None or self.is_open:
            return super()._get_raw_xsrf_token()
        return 2, self.site.sessions.token(self.session), 0.0

    async def head(self, *args: str, **kwargs: str) -> None:
        """Answer like GET; Tornado omits the body."""
        answered: Awaitable[None] | None = self.get(*args, **kwargs)
        if answered is not None:
            await answered

    def options(self, *_args: str, **_kwargs: str) -> None:
        """Answer with the allowed methods."""
        self.set_header("Allow", ", ".join(self.methods))
        self.set_status(204)

    @property
    def methods(self) -> list[str]:
        """The allowed methods, such as GET and POST."""
        nothing = RequestHandler.get
        own = [
            method
            for method in ("GET", "POST")
            if getattr(type(self), method.lower()) is not nothing
        ]
        return [*own, *(["HEAD"] if "GET" in own else []), "OPTIONS"]

    def identify(self) -> None:
        """Find the browser's session."""
        cookie = self.get_cookie(COOKIE)
        self.session = self.site.sessions.check(cookie) if cookie else None

    def may_pass(self) -> bool:
        """Whether this request may be answered."""
        return self.is_open or self.visit.ingress or self.session is not None

    def may_stay(self) -> bool:
        """Whether what is open may go on: a session may have ended meanwhile."""
        if not self.is_open:
            self.identify()
        return self.may_pass()

    def refuse(self) -> None:
        """Redirect a page to the login. Raises HTTPError (401) for anything else."""
        if self.request.method not in {"GET", "HEAD"} or self.is_partial:
            raise HTTPError(401)
        asked = (self.request.path + (f"?{self.request.query}" if self.request.query else ""))[1:]
        query = {"next": asked} if asked else {}
        if self.get_cookie(COOKIE):
            query["ended"] = "1"
        self.redirect(f"{self.visit.base}/login{'?' if query else ''}{urlencode(query)}")
        raise Finish

    @property
    def is_partial(self) -> bool:
        """Whether our script requests a fragment of a page."""
        return self.request.headers.get("X-Requested-With") == "esquirell"

    def set_cookie(self, name: str, value: str | bytes, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Tornado's
        """Set a cookie that scripts can't read and other sites can't make browsers send."""
        kwargs |= {
            "path": f"{self.visit.base}/",
            "httponly": True,
            "samesite": "Strict",
            "secure": self.visit.secure,
        }
        super().set_cookie(name, value, *args, **kwargs)

    def keep_session(self, value: str) -> None:
        """Set the session cookie."""
        self.set_cookie(COOKIE, value, max_age=LOGIN_KEPT_S)

    def drop_session(self) -> None:
        """Clear the session cookie."""
        self.set_cookie(COOKIE, "", max_age=0)

    @property
    def texts(self) -> Texts:
        """The texts in the browser's language."""
        return texts_of(best_language(self.request.headers.get("Accept-Language", "")))

    @property
    def formats(self) -> Formats:
        """The formats of the browser's language, in the configured time zone."""
        return Formats(self.texts, self.site.zone)

    def static_url(self, path: str, *args: Any, **kwargs: Any) -> str:  # noqa: ANN401 - Tornado's
        """Return the URL of a static file; it changes with the file's content."""
        return self.visit.base + super().static_url(path, *args, **kwargs)

    def get_template_namespace(self) -> dict[str, Any]:
        return super().get_template_namespace() | {
            "t": self.texts,
            "f": self.formats,
            "base": self.visit.base,
            "page": self.page,
            "ingress": self.visit.ingress,
            "logged_in": self.session is not None,
            "now": datetime.now(UTC),
            "json_text": lambda data: encode(data, indent=2),
            "energy_first": by_energy_first,
            "quote": lambda text: quote(text, safe=""),
            "breakable": breakable,
            # The prefix of the names of live values on the page.
            "places": "",
        }

    async def compute(self, work: Callable[[], Result], lane: Lane = "now") -> Result:
        """Run blocking work (the database, a file) outside the loop.

        Work on a long span of history, or on a device, has a lane of its own. Raises ProblemError
        for an error with a sentence for people.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self.site.lanes[lane], work)
        except EsquirellError as error:
            raise ProblemError(error) from error

    def write_error(self, status_code: int, **kwargs: Any) -> None:  # noqa: ANN401 - Tornado's
        """Show the error as a page, without repeating what was sent."""
        if status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            self.set_header("Allow", ", ".join(self.methods))
        raised = kwargs.get("exc_info", (None, None, None))[1]
        error = raised.error if isinstance(raised, ProblemError) else None
        sentence = str(error) if error else self.sentence(status_code)
        if self.wants_json:
            code = error.code if error else _code(status_code)
            self.write_json({"status": "error", "error": sentence, "code": code, "data": {}})
            return
        page = self.render_string(
            "error.html", status=status_code, sentence=sentence, is_english=error is not None
        )
        self.finish(page)

    @property
    def wants_json(self) -> bool:
        """Whether programs read the answer."""
        return False

    def write_json(self, data: object) -> None:
        self.set_header("Content-Type", "application/json")
        self.finish(encode(data))

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Log an unexpected error, without the request, which may contain secrets."""
        if isinstance(value, HTTPError | EsquirellError):
            log.debug("%s: %s", self.request.path, value)
        else:
            del typ, tb
            log.error("unexpected error of the page", exc_info=value)

    def sentence(self, status: int) -> str:
        """Return the meaning of an HTTP status that has no sentence of its own."""
        return self.texts.get(f"error.{status}", HTTPStatus(status).phrase)


def breakable(text: object) -> str:
    """Return a text as HTML in which paths may wrap after a slash."""
    return escape(str(text)).replace("/", "/<wbr>")


def status_of(code: str) -> int:
    """Return the HTTP status for an error code."""
    by_code = {"already_exists": 409, "too_large": 413, "unavailable": 503, "internal": 500}
    if code in by_code:
        return by_code[code]
    if code.startswith("invalid_"):
        return 422
    # The remaining codes are errors of meters and tasks.
    return 404 if code.startswith("unknown_") else 502


def _code(status: int) -> str:
    codes = {
        401: "unauthorized",
        403: "forbidden",
        404: "not_found",
        405: "method_not_allowed",
        413: "too_large",
        429: "too_many_attempts",
        431: "too_large",
        503: "unavailable",
    }
    server = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return codes.get(status, "internal" if server else "invalid_request")
