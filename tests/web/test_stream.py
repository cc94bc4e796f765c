"""Streams of events: how many there may be, and what becomes of one that nobody takes in."""

import asyncio
import socket

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application

from esquirell.web import live, stream
from esquirell.web.live import Live, News
from esquirell.web.stream import EventStream

BLOCK = b":" * 65_536


class Flood(EventStream):
    """Sends more than anybody takes in who does not read."""

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


def test_whoever_takes_nothing_in_makes_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "STALLED_S", 0.2)
    monkeypatch.setattr(live, "WATCHERS", 1)
    asyncio.run(somebody_takes_nothing_in())


async def somebody_takes_nothing_in() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()
    application = Application([("/", Flood)], events=(begun, ended))
    application.live = watched = Live()  # type: ignore[attr-defined]  # as a Site has it
    server = HTTPServer(application)
    listening, port = bind_unused_port()
    server.add_socket(listening)
    with socket.create_connection(("127.0.0.1", port)) as asleep:
        asleep.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await begun.wait()
        with pytest.raises(OverflowError), watched.watching():
            pass
        await ended.wait()
        await asyncio.sleep(0)
        with watched.watching():
            pass
    server.stop()
    await server.close_all_connections()
