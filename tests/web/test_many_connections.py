"""Very many connections to the page: they take nothing from the meters, nor from those who work."""

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from support.page import await_page
from support.page_house import House
from support.waiting import eventually

from esquirell.web.live import WATCHERS
from esquirell.web.server import MOST_CONNECTIONS

STREAMS = 1000


@contextmanager
def streams(house: House, count: int) -> Iterator["Counter[bytes]"]:
    """Ask for so many streams at once; yield how many got which answer, none included."""
    cookies = "; ".join(f"{name}={value}" for name, value in house.browser().cookies.items())
    asked = f"GET /live HTTP/1.1\r\nHost: localhost\r\nCookie: {cookies}\r\n\r\n".encode()
    with ExitStack() as stack:
        opened = []
        for _ in range(count):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", house.port)))
            one.settimeout(60)
            opened.append(one)
        answers: Counter[bytes] = Counter()
        for one in opened:
            try:
                one.sendall(asked)
                answers[one.recv(12)[9:]] += 1
            except OSError:
                answers[b""] += 1
        yield answers


def test_a_thousand_streams_leave_the_meters_and_the_pages_alone(house: House) -> None:
    with streams(house, STREAMS) as answers:
        assert answers[b"200"] == WATCHERS
        assert answers.total() == STREAMS
        assert answers[b"503"] <= MOST_CONNECTIONS - WATCHERS
        before = house.service.readings()
        eventually(lambda: house.service.readings() > before + 3, what="meters are read on")
        assert house.service.process is not None
        files = Path(f"/proc/{house.service.process.pid}/fd").iterdir()
        assert sum(1 for _ in files) < MOST_CONNECTIONS + 200
    browser = await_page(house.port)
    browser.log_in()
    assert browser.get("/").status == 200
    with browser.events("/live") as events:
        assert "total:power" in next(events)
    assert "Too many open files" not in house.service.log
