"""Lists: meters, schedules, health, the log of commands; and openapi.json."""

import re

from esquirell.domain.command import entry_of
from esquirell.domain.errors import CommandError
from esquirell.web.api.endpoint import Api, invalid
from esquirell.web.api.openapi import document
from esquirell.web.handler import ProblemError
from esquirell.web.site import Lane

MOST_LOGGED = 1000
LOGGED = 50
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
