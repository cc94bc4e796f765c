"""Pages that are live: what changes on them, as server-sent events."""

import asyncio
from contextlib import suppress
from typing import Any

from tornado.iostream import StreamClosedError

from esquirell.domain.reading import Reading
from esquirell.web.handler import Handler
from esquirell.web.json_text import encode
from esquirell.web.live import News
from esquirell.web.overview import House

# Readings that come in one go are told in one go.
GATHER_S = 0.15
# Whoever takes nothing in for so long has gone, or sleeps: others may watch in its place.
STALLED_S = 60.0


class EventStream(Handler):
    """Sends events as long as the other side listens."""

    _following: "asyncio.Future[None] | None" = None
    _has_gone = False

    async def get(self, *_path: str) -> None:
        """Stream them."""
        self.set_header("Content-Type", "text/event-stream")
        # Proxies are neither to collect it nor to compress it; a compressor of our own would
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
            # Whoever listened has gone; anything else that cancels it ends the loop.
            if not self._has_gone:
                raise

    def on_connection_close(self) -> None:
        """Make room for another one at once, and not only when there is something to send."""
        self._has_gone = True
        if self._following is not None:
            self._following.cancel()

    async def follow(self, queue: "asyncio.Queue[News]") -> None:
        """Send what is new; raises StreamClosedError when the other side goes."""
        raise NotImplementedError

    async def send(self, news: bytes) -> None:
        """Send news. Raises StreamClosedError when the other side does not take them in."""
        self.write(news)
        try:
            await asyncio.wait_for(self.flush(), STALLED_S)
        except TimeoutError:
            self.detach().close()
            raise StreamClosedError from None


class Stream(EventStream):
    """Sends texts by the names of their places."""

    def shown(self, house: House) -> dict[str, Any]:
        """Return everything that the page shows and that may change, by place."""
        raise NotImplementedError

    async def follow(self, queue: "asyncio.Queue[News]") -> None:
        """Send what differs from what was sent before; without news an empty sign of life."""
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
            read = {one.meter for one in news if isinstance(one, Reading)}
            house = self.site.overview.renewed(house, read)
            # An event (a meter went offline, a schedule was changed), or midnight.
            if (len(read) < len(news) and not read) or self.site.overview.day.is_over:
                looked_at = -refresh_s


async def _gathered(queue: "asyncio.Queue[News]", limit_s: float) -> list[News]:
    """Wait for what is new; return what comes together."""
    news: list[News] = []
    with suppress(TimeoutError):
        news.append(await asyncio.wait_for(queue.get(), limit_s))
        await asyncio.sleep(GATHER_S)
    while not queue.empty():
        news.append(queue.get_nowait())
    return news
