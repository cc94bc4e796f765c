"""Streams of events: how many there may be, and what happens to one that is not read."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import SimpleNamespace

import pytest
from support.waiting import LIMIT_S
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application

from esquirell.web import live, stream
from esquirell.web.live import Live, News
from esquirell.web.stream import EventStream

BLOCK = b":" * 65_536


@asynccontextmanager
async def served(
    stream_class: type[EventStream], *events: asyncio.Event
) -> AsyncIterator[tuple[Live, int]]:
    """Serve a stream at a port; its meters are told to what is yielded."""
    application = Application([("/", stream_class)], events=events)
    watched = Live()
    application.shared = SimpleNamespace(live=watched)  # type: ignore[attr-defined]  # as a Site has it
    server = HTTPServer(application)
    listening, port = bind_unused_port()
    server.add_socket(listening)
    yield watched, port
    server.stop()
    await server.close_all_connections()


@contextmanager
def asking(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port)) as asked:
        asked.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        yield asked


class Flood(EventStream):
    """Sends more than anybody takes in who does not read."""

    is_open = True

    def prepare(self) -> None:
        """Admit everybody."""

    def on_finish(self) -> None:
        """Clean nothing up."""

    async def follow(self, queue: "asyncio.Queue[News]") -> None:
        """Send for ever."""
        del queue
        begun, ended = self.application.settings["events"]
        begun.set()
        try:
            while True:
                await self.send(BLOCK)
        finally:
            ended.set()


def test_a_stalled_client_is_disconnected_to_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "STALLED_S", 0.2)
    monkeypatch.setattr(live, "WATCHERS", 1)
    asyncio.run(somebody_takes_nothing_in())


async def somebody_takes_nothing_in() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()
    async with served(Flood, begun, ended) as (watched, port):
        with asking(port):
            await begun.wait()
            with pytest.raises(OverflowError), watched.watching():
                pass
            await ended.wait()
            await asyncio.sleep(0)
            with watched.watching():
                pass


class Silence(EventStream):
    """Sends its headers, and then has nothing to say."""

    is_open = True

    def prepare(self) -> None:
        """Admit everybody."""

    def on_finish(self) -> None:
        """Clean nothing up."""

    async def follow(self, queue: "asyncio.Queue[News]") -> None:
        """Wait for news that never come."""
        begun, ended = self.application.settings["events"]
        await self.send(b":\n\n")
        begun.set()
        try:
            await queue.get()
        finally:
            ended.set()


def test_a_disconnected_client_makes_room_at_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(live, "WATCHERS", 1)
    asyncio.run(somebody_goes())
    assert [one for one in caplog.records if one.levelno > logging.INFO] == []


async def somebody_goes() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()
    async with served(Silence, begun, ended) as (watched, port):
        with asking(port):
            await begun.wait()
        # Nothing is sent meanwhile, so nothing but the end of the connection tells it.
        await asyncio.wait_for(ended.wait(), LIMIT_S)
        await asyncio.sleep(0)
        with watched.watching():
            pass
