"""The site: which handler answers which address."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from tornado.httputil import HTTPServerRequest
from tornado.routing import Rule
from tornado.template import Loader, Template
from tornado.web import Application, StaticFileHandler, url

from esquirell.daemon.garbage import give_back
from esquirell.daemon.visitors import WrongAttempts
from esquirell.runtime.root import Runtime
from esquirell.web import api
from esquirell.web.candidates import Candidates
from esquirell.web.credentials import Credentials
from esquirell.web.gate import AnyGate
from esquirell.web.handler import Handler
from esquirell.web.live import Live
from esquirell.web.overview import Overview
from esquirell.web.pages import adding, history, log, login, meters, now, schedules, system
from esquirell.web.sessions import Sessions
from esquirell.web.steering import Way
from esquirell.web.tokens import Tokens

FOLDER = files("esquirell.web")
XSRF_COOKIE = "esquirell_xsrf"
NAME = r"([a-z0-9_-]{1,64})"


class Templates(Loader):
    """Loads each template on first use; what compiling it needed is given back at once."""

    def load(self, name: str, parent_path: str | None = None) -> Template:
        """Return a template, compiled."""
        known = len(self.templates)
        template = super().load(name, parent_path)
        if len(self.templates) > known:
            give_back()
        return template


class Shared:
    """What all listeners of the page share."""

    def __init__(self, runtime: Runtime, live: Live) -> None:
        settings = runtime.settings
        self.runtime = runtime
        self.live = live
        self.credentials = Credentials(settings)
        self.sessions = Sessions(self.credentials, settings.state_dir)
        self.tokens = Tokens(settings.state_dir, lambda: datetime.now(UTC))
        self.wrong = WrongAttempts()
        self.candidates = Candidates()
        self.templates = Templates(str(FOLDER / "templates"))
        # Two: one slow query must not hold up everything else.
        self.executor = ThreadPoolExecutor(max_workers=2, thread_name_prefix="web")
        # And one that pages wait for only for a moment: in theirs it would have to wait for them.
        beside = ThreadPoolExecutor(max_workers=1, thread_name_prefix="web-beside")
        self.overview = Overview(runtime, live, beside)


class Site(Application):
    """The page as one listener shows it, to those whom its gate admits."""

    def __init__(self, shared: Shared, gate: AnyGate, base: str) -> None:
        super().__init__(
            _handlers(),
            default_handler_class=NotFound,
            template_loader=shared.templates,
            static_path=str(FOLDER / "static"),
            static_handler_class=Static,
            static_url_prefix="/static/",
            xsrf_cookies=True,
            xsrf_cookie_name=XSRF_COOKIE,
            compress_response=True,
            log_function=lambda _: None,
        )
        self.gate = gate
        self._base = base
        self.runtime = shared.runtime
        self.live = shared.live
        self.overview = shared.overview
        self.credentials = shared.credentials
        self.sessions = shared.sessions
        self.tokens = shared.tokens
        self.wrong = shared.wrong
        self.candidates = shared.candidates
        self.executor = shared.executor

    @property
    def zone(self) -> str:
        """The configured time zone."""
        return self.runtime.settings.timezone

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:  # noqa: ANN401 - Tornado's
        """Choose who answers; what a proxy has left of the base path does not count."""
        if self._base and f"{request.path}/".startswith(f"{self._base}/"):
            request.path = request.path[len(self._base) :] or "/"
        return super().find_handler(request, **kwargs)


class NotFound(Handler):
    """Answers addresses that do not exist, to those who are logged in."""

    def prepare(self) -> None:
        """Say that there is nothing."""
        super().prepare()
        if not self._finished:
            self.send_error(404)


class Static(Handler, StaticFileHandler):
    """Files of the page itself; they hold nothing that needs a log-in."""

    is_open = True

    def set_extra_headers(self, path: str) -> None:
        """Let browsers keep a file as long as its address, which holds its version, stays."""
        del path
        versioned = bool(self.get_argument("v", ""))
        self.set_header("Cache-Control", "max-age=31536000, immutable" if versioned else "no-cache")


def _handlers() -> Sequence[Rule]:
    return [
        url(r"/", now.Now),
        url(r"/live", now.LiveNow),
        url(r"/history", history.History),
        url(r"/history.csv", history.HistoryCsv),
        url(r"/pictures.css", history.Pictures),
        url(r"/meters", meters.Meters),
        url(r"/add", adding.AddMeter),
        url(rf"/meters/{NAME}", meters.Meter),
        url(r"/schedules", schedules.Schedules),
        url(r"/schedules/preview", schedules.Preview),
        url(r"/log", log.Log),
        url(r"/log/([0-9a-f-]{36})", log.LogEntry),
        url(r"/system", system.System),
        url(r"/system/backup", system.Backup),
        url(r"/way/([0-9a-f-]{36})", Way),
        url(r"/api/v1/meters", api.Listed, {"command": "meter/list", "key": "meters"}),
        url(r"/api/v1/schedules", api.Listed, {"command": "schedule/list", "key": "schedules"}),
        url(r"/api/v1/health", api.Listed, {"command": "health"}),
        url(r"/api/v1/readings", api.Rows, {"since": "24h", "view": "raw"}),
        url(r"/api/v1/statistics", api.Rows, {"since": "30d", "view": "day"}),
        url(r"/api/v1/cost", api.Costs),
        url(r"/api/v1/log", api.Logged),
        url(r"/api/v1/log/([0-9a-f-]{36})", api.LoggedOne),
        url(r"/api/v1/events", api.Events),
        url(r"/api/v1/openapi.json", api.OpenApi),
        url(r"/api/v1/requests/([a-z/]+)", api.Requests),
        url(r"/api/v1(?:/.*)?", api.Unknown),
        url(r"/login", login.Login),
        url(r"/logout", login.Logout),
    ]
