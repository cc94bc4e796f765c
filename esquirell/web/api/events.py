"""Readings and events as server-sent events."""

import asyncio

from esquirell.domain.reading import Reading, payload
from esquirell.web.api.endpoint import Api
from esquirell.web.json_text import encode
from esquirell.web.live import LOOK_AGAIN, News
from esquirell.web.stream import EventStream

KEEP_ALIVE_S = 20.0


class Events(Api, EventStream):
    """Streams readings and events, as the server-sent events `reading` and `event`."""

    async def follow(self, queue: "asyncio.Queue[News]") -> None:
        """Stream them; a comment now and then detects a closed connection."""
        await self.send(b":\n\n")
        while True:
            try:
                news = await asyncio.wait_for(queue.get(), KEEP_ALIVE_S)
            except TimeoutError:
                await self.send(b":\n\n")
            else:
                if news is not LOOK_AGAIN:
                    await self.send(_sent(news))


def _sent(news: News) -> bytes:
    if isinstance(news, Reading):
        kind, shape = "reading", {"meter": news.meter} | payload(news, tuple(news.values))
    else:
        kind, shape = "event", dict(news)
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), encode(shape))
