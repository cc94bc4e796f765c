"""Readings and events as they come, server-sent."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from tornado.iostream import StreamClosedError

from esquirell.domain.reading import Reading, payload
from esquirell.web.api.endpoint import Api
from esquirell.web.json_text import encode
from esquirell.web.live import LOOK_AGAIN

KEEP_ALIVE_S = 20.0


class Events(Api):
    """Readings and events as they come, server-sent."""

    async def get(self) -> None:
        """Stream events until the other side goes: `reading` and `event`."""
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("X-Accel-Buffering", "no")
        if self.request.method == "HEAD":
            return
        try:
            with self.site.live.watching() as queue, suppress(StreamClosedError):
                self.write(":\n\n")
                await self.flush()
                while True:
                    try:
                        news = await asyncio.wait_for(queue.get(), KEEP_ALIVE_S)
                    except TimeoutError:
                        self.write(":\n\n")
                    else:
                        if news is not LOOK_AGAIN:
                            self.write(_sent(news))
                    await self.flush()
        except OverflowError:
            self.send_error(503)


def _sent(news: Reading | Mapping[str, Any]) -> bytes:
    if isinstance(news, Reading):
        kind, shape = "reading", {"meter": news.meter} | payload(news, tuple(news.values))
    else:
        kind, shape = "event", dict(news)
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), encode(shape))
