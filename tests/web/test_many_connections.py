"""Very many connections to the page: they delay neither the meters nor logged-in users."""

import asyncio
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

from support.page import Browser, await_page
from support.page_house import House
from support.waiting import eventually
from tornado.netutil import bind_sockets
from tornado.web import Application

from esquirell.web.live import WATCHERS
from esquirell.web.server import MOST_CONNECTIONS, BoundedServer

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


def first_news(browser: Browser) -> Any:  # noqa: ANN401 - JSON is anything
    """Return the first event of a stream, or None while streams that ended still take its place.

    The service learns that they ended when it next sends them something.
    """
    try:
        with browser.events("/live") as events:
            return next(events)
    except AssertionError:
        return None


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
    assert "total:power" in eventually(lambda: first_news(browser), what="there is room again")
    assert "Too many open files" not in house.service.log


def test_all_listeners_share_one_count() -> None:
    async def answers(port: int, kept: list[asyncio.StreamWriter]) -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        kept.append(writer)
        try:
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return bool(await reader.read(4))
        except ConnectionError:
            return False

    async def connect() -> None:
        places, ports, servers = BoundedSemaphore(2), [], []
        for _ in range(2):
            server = BoundedServer(Application([]))
            server.places = places
            sockets = bind_sockets(0, "127.0.0.1")
            server.add_sockets(sockets)
            servers.append(server)
            ports.append(sockets[0].getsockname()[1])
        page, ingress = ports
        kept: list[asyncio.StreamWriter] = []
        assert [await answers(port, kept) for port in (page, ingress)] == [True, True]
        assert [await answers(port, kept) for port in (page, ingress)] == [False, False]
        kept[0].close()
        async with asyncio.timeout(30):
            while not await answers(ingress, kept):
                pass
        assert not await answers(page, kept)
        for writer in kept:
            writer.close()
        for server in servers:
            server.stop()
            await server.close_all_connections()
        assert all(places.acquire(blocking=False) for _ in range(2))

    asyncio.run(connect())
