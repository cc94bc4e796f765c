"""Lists: meters, schedules, health, the log of commands; events; and openapi.json."""

import asyncio
import re

from esquirell.domain.command import entry_of
from esquirell.domain.errors import CommandError
from esquirell.domain.reading import Reading, payload
from esquirell.web.api.endpoint import Api, invalid
from esquirell.web.api.openapi import document
from esquirell.web.handler import ProblemError
from esquirell.web.json_text import encode
from esquirell.web.live import LOOK_AGAIN, News
from esquirell.web.site import Lane
from esquirell.web.stream import EventStream

MOST_LOGGED = 1000
LOGGED = 50
KEEP_ALIVE_S = 20.0
SMALL = re.compile(r"[0-9]{1,6}")


class Listed(Api):
    """The data of a command, as a bare list where it holds one."""

    def initialize(self, command: str, key: str = "", lane: Lane = "now") -> None:
        """Take the command, the key of its list, and the lane in which it runs."""
        self._command, self._key, self._lane = command, key, lane

    async def get(self) -> None:
        """Answer with the data."""
        data = await self.query(self._command, self._lane)
        self.write_json(data[self._key] if self._key else dict(data))


class Logged(Api):
    """The log of commands, the newest last."""

    parameters = ("last",)

    async def get(self) -> None:
        """Answer with the latest commands."""
        asked = self.asked("last", str(LOGGED))
        last = int(asked) if SMALL.fullmatch(asked) else 0
        if not 1 <= last <= MOST_LOGGED:
            raise invalid(f"last: must be a whole number from 1 to {MOST_LOGGED}")
        log = self.site.runtime.storage.commands
        records = await self.compute(lambda: log.recent(last))
        self.write_json([entry_of(record) for record in reversed(records)])


class LogEntryApi(Api):
    """One command of the log, with its complete answer."""

    async def get(self, task_id: str) -> None:
        """Answer with the command."""
        log = self.site.runtime.storage.commands
        record = await self.compute(lambda: log.get(task_id))
        if record is None:
            raise ProblemError(CommandError("unknown_task", "no command has this id"))
        answer = record.answer.payload() if record.answer else None
        self.write_json(entry_of(record) | {"answer": answer})


class OpenApi(Api):
    """The OpenAPI description, made from the table of commands."""

    async def get(self) -> None:
        """Answer with the description."""
        self.write_json(await self.compute(lambda: document(f"{self.visit.base}/api/v1")))


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
