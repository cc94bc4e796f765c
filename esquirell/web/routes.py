"""The routes: which handler answers which path."""

from tornado.routing import Rule
from tornado.web import HTTPError, StaticFileHandler, stream_request_body, url

from esquirell.web.api import endpoint, listed, requests, rows
from esquirell.web.command_page import CommandProgress
from esquirell.web.handler import Handler
from esquirell.web.pages import adding, history, log, login, meters, now, schedules, system
from esquirell.web.site import Routes

# Refused uploads larger than this are cut off.
TAKEN_IN = 64 * 1024 * 1024
NAME = r"([a-z0-9_-]{1,64})"


class NotFound(Handler):
    """Answers unknown paths, for logged-in users."""

    def prepare(self) -> None:
        """Answer 404."""
        super().prepare()
        if not self._finished:
            self.send_error(404)


class Refusal(Handler):
    """Answers requests that are too large, with or without a login."""

    @property
    def wants_json(self) -> bool:
        """Whether a program sent it."""
        return f"{self.request.path}/".startswith("/api/")


@stream_request_body
class TooLarge(Refusal):
    """Reads and discards a body that is too large: if cut off, a browser would show no answer."""

    def prepare(self) -> None:
        """Admit every request."""
        self.visit = self.application.gate.admit(self.request)
        self.request.connection.set_max_body_size(TAKEN_IN)  # type: ignore[union-attr]  # as Tornado's guide says

    def data_received(self, chunk: bytes) -> None:
        """Discard the data."""
        del chunk

    def post(self, *_args: str) -> None:
        """Answer 413."""
        self.send_error(413)


class LargeHeaders(Refusal):
    """Answers requests whose headers are too large, without looking at them."""

    def prepare(self) -> None:
        """Answer 431."""
        self.visit = self.application.gate.admit(self.request)
        self.send_error(431)


class Static(Handler, StaticFileHandler):
    """Static files of the page; they need no login."""

    is_open = True

    def parse_url_path(self, url_path: str) -> str:
        """Return the path of a file. Raises HTTPError (404) for what no file can be named."""
        if "\0" in url_path:
            raise HTTPError(404)
        return super().parse_url_path(url_path)

    def set_extra_headers(self, path: str) -> None:
        """Let browsers cache a file for ever, as its URL contains its version."""
        del path
        versioned = bool(self.get_argument("v", ""))
        self.set_header("Cache-Control", "max-age=31536000, immutable" if versioned else "no-cache")


def routes() -> Routes:
    """Return the routes of the page and of its API."""
    return Routes(_rules(), NotFound, TooLarge, LargeHeaders, Static)


def _rules() -> list[Rule]:
    return [
        url(r"/", now.Now),
        url(r"/live", now.LiveNow),
        url(r"/history", history.History),
        url(r"/history.csv", history.HistoryCsv),
        url(r"/pictures.css", history.Pictures),
        url(r"/meters", meters.Meters),
        url(r"/add", adding.AddMeter),
        url(rf"/meters/{NAME}", meters.Meter),
        url(rf"/meters/{NAME}/live", meters.LiveMeter),
        url(r"/schedules", schedules.Schedules),
        url(r"/schedules/preview", schedules.Preview),
        url(r"/log", log.Log),
        url(r"/log/([0-9a-f-]{36})", log.LogEntry),
        url(r"/system", system.System),
        url(r"/system/backup", system.Backup),
        url(r"/progress/([0-9a-f-]{36})", CommandProgress),
        url(r"/api/v1/meters", listed.Listed, {"command": "meter/list", "key": "meters"}),
        url(r"/api/v1/schedules", listed.Listed, {"command": "schedule/list", "key": "schedules"}),
        url(r"/api/v1/health", listed.Listed, {"command": "health", "lane": "devices"}),
        url(r"/api/v1/readings", rows.Rows, {"since": "24h", "view": "raw"}),
        url(r"/api/v1/statistics", rows.Rows, {"since": "30d", "view": "day"}),
        url(r"/api/v1/cost", rows.Costs),
        url(r"/api/v1/log", listed.Logged),
        url(r"/api/v1/log/([0-9a-f-]{36})", listed.LogEntryApi),
        url(r"/api/v1/events", listed.Events),
        url(r"/api/v1/openapi.json", listed.OpenApi),
        url(r"/api/v1/requests/([a-z/]+)", requests.Requests),
        url(r"/api(?:/.*)?", endpoint.Unknown),
        url(r"/login", login.Login),
        url(r"/logout", login.Logout),
    ]
