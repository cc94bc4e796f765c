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


class Stream(Handler):
    """Sends texts by the names of their places, until the browser goes."""

    def shown(self, house: House) -> dict[str, Any]:
        """Return everything that the page shows and that may change, by place."""
        raise NotImplementedError

    async def get(self, *_path: str) -> None:
        """Stream what changes."""
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("X-Accel-Buffering", "no")
        if self.request.method == "HEAD":
            return
        try:
            with self.site.live.watching() as queue, suppress(StreamClosedError):
                await self._stream(queue)
        except OverflowError:
            self.send_error(503)

    async def _stream(self, queue: "asyncio.Queue[News]") -> None:
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
                # Without news a comment finds out whether the browser is still there.
                self.write(b"data: %s\n\n" % encode(fresh) if fresh else b":\n\n")
                await self.flush()
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
