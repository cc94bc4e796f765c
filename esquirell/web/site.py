"""What all handlers share, and the Tornado application of each listener."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal, get_args

from tornado.httputil import HTTPServerRequest
from tornado.routing import Rule
from tornado.template import Loader, Template
from tornado.web import Application, RequestHandler, StaticFileHandler

from esquirell.daemon.resources import give_back
from esquirell.daemon.visitors import WrongAttempts
from esquirell.domain.record import record
from esquirell.runtime.root import Runtime
from esquirell.web.backlog import StatisticsBacklog
from esquirell.web.candidates import KEEP_CODE_S, Candidates, KeptForBrowsers
from esquirell.web.gate import AnyGate
from esquirell.web.live import Live
from esquirell.web.overview import Overview
from esquirell.web.recent import Recent
from esquirell.web.sessions import Credentials, Sessions
from esquirell.web.tokens import Tokens

if TYPE_CHECKING:
    from esquirell.runtime.unconfigured import AppLogin

FOLDER = files("esquirell.web")
# An uploaded devices.json may be 1 MiB; the form around it adds a little.
LARGEST_BODY = 1024 * 1024 + 64 * 1024
# Larger ones are answered with 431, if they can be parsed at all.
LARGEST_HEADERS = 32 * 1024
_WHOLE = re.compile(r"[0-9]{1,18}")
XSRF_COOKIE = "esquirell_xsrf"


# The lanes beside the loop, of two threads each: a request for years of the past, or one that waits
# for a device, must not hold up the others.
Lane = Literal["now", "past", "devices", "accounts"]


class Templates(Loader):
    """Loads the template of each page on first use, keeping only what rendering needs.

    It then contains what it extends and includes. With the sources and syntax trees of all
    templates, pages would take a MiB more.
    """

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self._pages: dict[str, Template] = {}
        self._has_compiled = False

    def load(self, name: str, parent_path: str | None = None) -> Template:
        # Included templates are requested with the path of their page.
        if parent_path is not None:
            return super().load(name, parent_path)
        with self.lock:
            if name not in self._pages:
                page = self._pages[name] = super().load(name)
                self.reset()
                del page.file
                page.code = ""
                self._has_compiled = True
            return self._pages[name]

    def tidy(self) -> None:
        """Return memory left over from compiling and the first view to the system."""
        if self._has_compiled:
            self._has_compiled = False
            give_back()


class Shared:
    """The objects that all listeners of the page share."""

    def __init__(self, runtime: Runtime, live: Live, password_command: str) -> None:
        settings = runtime.settings
        self.runtime = runtime
        self.live = live
        # For visitors who have not logged in: as typed on this machine.
        self.password_command = password_command
        directory = runtime.storage.directory
        self.credentials = Credentials(settings, directory)
        self.sessions = Sessions(self.credentials, directory)
        self.tokens = Tokens(directory, lambda: datetime.now(UTC))
        self.wrong = WrongAttempts()
        self.candidates = Candidates()
        self.app_logins: KeptForBrowsers[AppLogin] = KeptForBrowsers(KEEP_CODE_S)
        # Held from the look at what a form was filled in beside until its change is made.
        self.saving = asyncio.Lock()
        # A cache of drawn history; its content is up to that page.
        self.drawn: Recent[Any] = Recent()
        self.templates = Templates(str(FOLDER / "templates"))
        self.lanes: Mapping[Lane, Executor] = {
            name: ThreadPoolExecutor(max_workers=2, thread_name_prefix=f"web-{name}")
            for name in get_args(Lane)
        }
        # Separate, as pages wait a moment for it: in their own threads it would wait for them.
        beside = ThreadPoolExecutor(max_workers=1, thread_name_prefix="web-beside")
        # Separate, so that a hanging database does not delay the day's energy.
        problems = ThreadPoolExecutor(max_workers=1, thread_name_prefix="web-problems")
        self.overview = Overview(runtime, live, beside, problems)
        self.backlog = StatisticsBacklog(runtime, beside)

    @property
    def zone(self) -> str:
        """The configured time zone."""
        return self.runtime.settings.timezone


@record
class Routes:
    """The routes, the handlers of static files and of requests that are too large.

    `too_large` is for bodies, `large_headers` for headers.
    """

    rules: Sequence[Rule]
    nothing: type[RequestHandler]
    too_large: type[RequestHandler]
    large_headers: type[RequestHandler]
    files: type[StaticFileHandler]


class Site(Application):
    """The application of one listener, for visitors that its gate admits."""

    def __init__(self, shared: Shared, gate: AnyGate, base: str, routes: Routes) -> None:
        super().__init__(
            list(routes.rules),
            default_handler_class=routes.nothing,
            static_handler_class=routes.files,
            template_loader=shared.templates,
            static_path=str(FOLDER / "static"),
            static_url_prefix="/static/",
            xsrf_cookies=True,
            xsrf_cookie_name=XSRF_COOKIE,
            compress_response=True,
            log_function=lambda _: None,
        )
        self._too_large = routes.too_large
        self._large_headers = routes.large_headers
        self.gate = gate
        self.shared = shared
        self._base = base

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:  # noqa: ANN401 - Tornado's
        """Find the handler; strip the base path if the proxy has left it."""
        if self._base and f"{request.path}/".startswith(f"{self._base}/"):
            request.path = request.path[len(self._base) :] or "/"
        if _size_of_headers(request) > LARGEST_HEADERS:
            return self.get_handler_delegate(request, self._large_headers)
        length = request.headers.get("Content-Length", "")
        if _WHOLE.fullmatch(length) and int(length) > LARGEST_BODY:
            return self.get_handler_delegate(request, self._too_large)
        return super().find_handler(request, **kwargs)


def _size_of_headers(request: HTTPServerRequest) -> int:
    """Return about how many bytes the request line and the headers took."""
    lines = ((len(name), len(value)) for name, value in request.headers.get_all())
    return len(request.uri or "") + sum(name + value + 4 for name, value in lines)
