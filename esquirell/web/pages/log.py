"""Log: recent commands, who sent them, and their results."""

import re
from collections.abc import Mapping
from typing import Any

from esquirell.domain.command import CommandRecord
from esquirell.web.command_page import steps_of
from esquirell.web.handler import Handler

SHOWN = 50
MOST = 1000
_SOME = re.compile(r"[1-9][0-9]{0,8}")


class Log(Handler):
    """The latest commands, newest first."""

    page = "log"

    async def get(self) -> None:
        """Show the commands."""
        asked = self.get_query_argument("last", "")
        last = min(int(asked), MOST) if _SOME.fullmatch(asked) else SHOWN
        log = self.site.runtime.storage.commands
        records = await self.compute(lambda: log.recent(last + 1))
        self.render(
            "log.html",
            records=records[:last],
            more=min(last * 4, MOST) if len(records) > last and last < MOST else None,
            about=about,
        )


class LogEntry(Handler):
    """One command with all details."""

    page = "log"

    async def get(self, task_id: str) -> None:
        """Show the command."""
        log = self.site.runtime.storage.commands
        record = await self.compute(lambda: log.get(task_id))
        if record is None:
            self.send_error(404)
            return
        self.render("log_entry.html", record=record, steps=steps_of(record), about=about)


def about(record: CommandRecord) -> str:
    """Return the meter, schedule, task or log level that a command is about."""
    request: Mapping[str, Any] = record.request
    meters = request.get("meters")
    if record.command == "fetch" and isinstance(meters, list):
        return ", ".join(map(str, meters))
    return str(request.get("name") or request.get("task") or request.get("level") or "")
