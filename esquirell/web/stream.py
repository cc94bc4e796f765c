"""Live pages: what has changed, as server-sent events."""

import asyncio
from contextlib import suppress
from typing import Any

from tornado.iostream import StreamClosedError

from esquirell.domain.reading import Reading
from esquirell.web.handler import Handler
from esquirell.web.json_text import encode
from esquirell.web.live import News
from esquirell.web.overview import House

# Readings that arrive together are sent together.
GATHER_S = 0.15
# A browser that reads nothing for this long has gone, or sleeps: its place is freed.
STALLED_S = 60.0


class EventStream(Handler):
    """Sends events while the browser is connected."""

    _following: "asyncio.Future[None] | None" = None
    _has_gone = False

    async def get(self, *_path: str) -> None:
        """Stream events."""
        self.set_header("Content-Type", "text/event-stream")
        # Proxies must neither buffer nor compress it; a compressor of our own would
        # take a quarter of a MiB for each stream.
        self.set_header("X-Accel-Buffering", "no")
        self.set_header("Cache-Control", "no-store, no-transform")
        self._transforms = []
        if self.request.method == "HEAD":
            return
        try:
            with self.site.live.watching() as queue, suppress(StreamClosedError):
                self._following = asyncio.ensure_future(self.follow(queue))
                await self._following
        except OverflowError:
            self.send_error(503)
        except asyncio.CancelledError:
            # The listener has disconnected; any other cancellation ends the loop.
            if not self._has_gone:
                raise

    def on_connection_close(self) -> None:
        """Make room for another one at once, and not only when there is something to send."""
        self._has_gone = True
        if self._following is not None:
            self._following.cancel()

    async def follow(self, queue: "asyncio.Queue[News]") -> None:
        """Send events. Raises StreamClosedError when the connection is closed."""
        raise NotImplementedError

    async def send(self, news: bytes) -> None:
        """Send data.

        Raises StreamClosedError when the browser does not read it, or may not any longer.
        """
        if not self.may_stay():
            raise StreamClosedError
        self.write(news)
        try:
            await asyncio.wait_for(self.flush(), STALLED_S)
        except TimeoutError:
            self.detach().close()
            raise StreamClosedError from None


class Stream(EventStream):
    """Sends texts by the names of their places."""

    def shown(self, house: House) -> dict[str, Any]:
        """Return all values of the page that may change, by place."""
        raise NotImplementedError

    async def follow(self, queue: "asyncio.Queue[News]") -> None:
        """Send the values that have changed; when nothing is new, an empty keep-alive event."""
        loop = asyncio.get_running_loop()
        known: dict[str, Any] = {}
        news: list[News] = []
        refresh_s = self.site.live.refresh_s
        house, looked_at = House(()), -refresh_s
        while True:
            if loop.time() - looked_at >= refresh_s:
                house, looked_at = await self.compute(self.site.overview.look), loop.time()
            shown = self.shown(house)
            fresh = {key: value for key, value in shown.items() if known.get(key) != value}
            known = shown
            if fresh or not news:
                await self.send(b"data: %s\n\n" % encode(fresh))
            news = await _gathered(queue, refresh_s)
            read = {reading.meter for reading in news if isinstance(reading, Reading)}
            house = self.site.overview.renewed(house, read)
            # An event (a meter went offline, a schedule was changed), or midnight.
            if (len(read) < len(news) and not read) or self.site.overview.day.is_over:
                looked_at = -refresh_s


async def _gathered(queue: "asyncio.Queue[News]", limit_s: float) -> list[News]:
    """Wait for readings or events; return those that arrive together."""
    news: list[News] = []
    with suppress(TimeoutError):
        news.append(await asyncio.wait_for(queue.get(), limit_s))
        await asyncio.sleep(GATHER_S)
    while not queue.empty():
        news.append(queue.get_nowait())
    return news
