"""A visitor of the page: requests what a browser requests, and draws nothing."""

import re
import time
from contextlib import closing
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from typing import NamedTuple
from urllib.parse import urlencode

LIMIT_S = 60.0
_TOKEN = re.compile(rb'name="_xsrf" value="([^"]+)"')
_FILES = re.compile(rb'(?:src|href)="(/[^"]+\.(?:css|js|svg)(?:\?[^"]*)?)"')


class Answer(NamedTuple):
    """An answer: its status, what was sent of it, and the milliseconds until all was there."""

    status: int
    body: bytes
    taken_ms: float


class Visitor:
    """A browser; what it asks for is sent compressed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._cookies: dict[str, str] = {}

    def finds_it(self) -> bool:
        """Whether the page answers."""
        try:
            return self._ask("GET", "/login").status == 200  # noqa: PLR2004 - HTTP's own number
        except OSError:
            return False

    def log_in(self, password: str) -> None:
        """Log in. Raises ValueError when that is refused."""
        found = _TOKEN.search(self._ask("GET", "/login", accept="identity").body)
        fields = {"_xsrf": found[1].decode() if found else "", "password": password}
        answer = self._ask("POST", "/login", urlencode(fields))
        if answer.status >= 400:  # noqa: PLR2004 - HTTP's own number
            raise ValueError(f"the page refuses the password ({answer.status})")

    def opened(self, path: str) -> Answer:
        """Open a page. Raises ValueError when it is not shown."""
        answer = self._ask("GET", f"/{path}")
        if answer.status != 200:  # noqa: PLR2004 - HTTP's own number
            raise ValueError(f"/{path} answers {answer.status}")
        return answer

    def check_picture(self, path: str) -> None:
        """Raise ValueError unless a page of the past shows a picture, worked up to its end."""
        page = self._ask("GET", f"/{path}", accept="identity").body
        if b"data-await" in page or b'<svg class="plot' not in page:
            raise ValueError(f"/{path} shows no picture, as its statistics are not worked up yet")

    def weight(self, path: str) -> int:
        """Return how many bytes are sent for a page with all its files."""
        plain = self._ask("GET", f"/{path}", accept="identity").body
        files = {found.decode() for found in _FILES.findall(plain)}
        pages = [self.opened(path), *(self.opened(file[1:]) for file in sorted(files))]
        return sum(len(page.body) for page in pages)

    def _ask(self, method: str, path: str, body: str = "", accept: str = "gzip") -> Answer:
        headers = {"Accept-Encoding": accept}
        if self._cookies:
            headers["Cookie"] = "; ".join(f"{name}={one}" for name, one in self._cookies.items())
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        began = time.perf_counter()
        with closing(HTTPConnection("127.0.0.1", self._port, timeout=LIMIT_S)) as connection:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            content = answer.read()
            for line in answer.headers.get_all("Set-Cookie") or []:
                self._cookies |= {name: morsel.value for name, morsel in SimpleCookie(line).items()}
        return Answer(answer.status, content, (time.perf_counter() - began) * 1000)
