"""The page of a running service, as a browser or a program asks for it."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from html import unescape
from http.client import HTTPConnection, HTTPMessage
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode

from support.waiting import LIMIT_S, eventually

PASSWORD = "page-pass-word-1"
_TOKEN = re.compile(r'name="_xsrf" value="([^"]+)"')


@dataclass(frozen=True)
class Reply:
    status: int
    headers: HTTPMessage
    text: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON is anything
        return json.loads(self.text)

    @property
    def words(self) -> str:
        """What people read of it."""
        body = re.sub(r"<(script|style|head)\b.*?</\1>", " ", self.text, flags=re.DOTALL)
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


class Browser:
    """Keeps cookies; `source` is the address that it comes from."""

    def __init__(self, port: int, base: str = "", source: str = "127.0.0.1") -> None:
        self.port = port
        self.base = base
        self.cookies: dict[str, str] = {}
        self.set_cookies: list[str] = []
        self._source = source

    def ask(
        self,
        method: str,
        path: str,
        body: str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        jar = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = ({"Cookie": jar} if jar else {}) | dict(headers or {})
        connection = HTTPConnection(
            "127.0.0.1", self.port, timeout=LIMIT_S, source_address=(self._source, 0)
        )
        with closing(connection):
            connection.request(method, self.base + path, body, sent)
            answer = connection.getresponse()
            self.set_cookies = answer.headers.get_all("Set-Cookie") or []
            for line in self.set_cookies:
                for name, morsel in SimpleCookie(line).items():
                    self.cookies[name] = morsel.value
            return Reply(answer.status, answer.headers, answer.read().decode())

    def get(self, path: str, **headers: str) -> Reply:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("GET", path, headers=named)

    def post(self, path: str, fields: Mapping[str, Any], **headers: str) -> Reply:
        """Send a form, with the token that a page gave."""
        token = {"_xsrf": self.token} if "_xsrf" not in fields else {}
        body = urlencode({**token, **fields}, doseq=True)
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", path, body, kind | named)

    @property
    def token(self) -> str:
        found = _TOKEN.search(
            self.get("/login" if "esquirell_session" not in self.cookies else "/").text
        )
        return found[1] if found else ""

    def log_in(self, password: str = PASSWORD) -> Reply:
        return self.post("/login", {"password": password})

    @contextmanager
    def events(self, path: str, **headers: str) -> Iterator[Iterator[Any]]:
        """Read server-sent events as they come."""
        jar = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_S)) as connection:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request("GET", self.base + path, headers={"Cookie": jar} | named)
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()

            def read() -> Iterator[Any]:
                while line := answer.readline():
                    if line.startswith(b"data: "):
                        yield json.loads(line.removeprefix(b"data: "))

            yield read()


def await_page(port: int, base: str = "") -> Browser:
    """Wait until the page answers; return a browser that is not logged in."""
    browser = Browser(port, base)

    def answers() -> bool:
        try:
            return browser.get("/login").status == 200
        except OSError:
            return False

    eventually(answers, what="the page answers")
    return browser
