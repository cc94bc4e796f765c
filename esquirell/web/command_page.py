"""Pages with forms for commands: each answer is shown next to its form."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from esquirell.domain.command import Answer, CommandRecord, Request
from esquirell.domain.errors import CommandError
from esquirell.domain.payload import parse_json
from esquirell.domain.record import record
from esquirell.web.handler import Handler, status_of
from esquirell.web.json_text import fingerprint
from esquirell.web.site import Lane

LONGEST_FIELD = 8192
# Longer names are of nothing that there is.
LONGEST_NAME = 100
# When a schedule runs: these fields go together.
RULE = frozenset({"every", "cron", "timezone"})
_WHOLE = re.compile(r"[0-9]{1,9}")

Result = TypeVar("Result")


@record
class SubmittedCommand:
    """A command that was just submitted, its place on the page, and its first answer."""

    place: str
    command: str
    data: Mapping[str, Any]
    answer: Answer

    @property
    def task_id(self) -> str:
        """The id of a job, under which its result is recorded; empty for other commands."""
        return str(self.answer.data.get("task_id", "")) if self.answer.status == "accepted" else ""


class CommandPage(Handler):
    """A page with forms: each form names its command and its place on the page."""

    async def run(self, command: str, data: Mapping[str, Any], lane: Lane = "now") -> Answer:
        """Run a command with the page as its source."""
        request = Request("web", command, data)
        return await self.compute(lambda: self.site.runtime.commands.handle(request), lane)

    async def submit(self, command: str, data: Mapping[str, Any]) -> SubmittedCommand:
        """Run the command of a form, and remember where to show its answer."""
        # Some commands read a meter and wait for it.
        answer = await self.run(command, data, "devices")
        if answer.status == "error":
            self.set_status(status_of(answer.code or "internal"))
        return SubmittedCommand(self.place, command, data, answer)

    @property
    def command(self) -> str:
        """The command of the form, or of its button."""
        return self.named("command")

    @property
    def place(self) -> str:
        """The place of the page where the answer is to be shown."""
        return self.named("place")

    def named(self, field: str) -> str:
        """Return a field that the page itself has filled in, to name something."""
        return self.get_body_argument(field, "")[:LONGEST_NAME]

    @property
    def owner(self) -> str:
        """The owner of scanned devices: this browser's session."""
        return self.session or "ingress"

    async def wait_for(self, work: Callable[[], Result], lane: Lane = "devices") -> Result:
        """Wait for a device or an account beside the loop.

        Raises the error of the work, for the page to show.
        """
        return await asyncio.get_running_loop().run_in_executor(self.site.lanes[lane], work)

    def field(self, name: str, default: str = "") -> str:
        """Return a field of the form. Raises CommandError when it is too long."""
        value = self.get_body_argument(name, default)
        if len(value) > LONGEST_FIELD:
            raise CommandError("too_large", f"{name} is longer than {LONGEST_FIELD} characters")
        return value

    async def submit_unless_changed(
        self,
        command: str,
        name: str,
        fields: Mapping[str, Any],
        current: Callable[[], Awaitable[Mapping[str, Any] | None]],
    ) -> SubmittedCommand:
        """Run the command of a form, unless its object has changed since the form was shown.

        Only what differs from them is changed. `current` returns them as they are, or None for
        what was removed meanwhile: then the command says so. Of two forms that come in the same
        instant the second is looked at once the first has made its change. Raises CommandError.
        """
        data: dict[str, Any] = {"name": name} | self.transaction()
        async with self.site.saving:
            seen = self.named("seen")
            shown = await current() if seen else None
            if shown is None:
                return await self.submit(command, {**data, **fields})
            if seen != fingerprint(shown):
                raise CommandError("invalid_payload", self.texts("error.changed_elsewhere"))
            changed = differing(fields, shown)
            if not changed:
                return SubmittedCommand(self.place, command, data, Answer("ok", {}))
            return await self.submit(command, data | changed)

    def transaction(self) -> dict[str, str]:
        """Return the transaction that makes a form submitted twice run once."""
        value = self.field("transaction")
        return {"transaction": value} if value else {}


class CommandProgress(Handler):
    """The progress of a command, a fragment that our script puts into the page."""

    async def get(self, task_id: str) -> None:
        """Show the progress."""
        log = self.site.runtime.storage.commands
        record = await self.compute(lambda: log.get(task_id))
        if record is None:
            self.send_error(404)
            return
        self.render("_progress.html", record=record, steps=steps_of(record))


def steps_of(record: CommandRecord) -> list[tuple[str, Any]]:
    """Return the steps of a command with their times: `accepted`, then `done` or `refused`."""
    steps: list[tuple[str, Any]] = [("accepted", record.at)]
    if record.answer is not None:
        steps.append(("done" if record.answer.status == "ok" else "refused", record.ended_at))
    return steps


def differing(fields: Mapping[str, Any], shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a form that differ from what it showed; a rule is changed as a whole."""
    changed = {key for key, value in fields.items() if key not in shown or shown[key] != value}
    if changed & RULE:
        changed |= fields.keys() & RULE
    return {key: value for key, value in fields.items() if key in changed}


def as_number(text: str, name: str) -> int:
    """Return a whole number from a form field. Raises CommandError."""
    if not _WHOLE.fullmatch(text):
        raise CommandError("invalid_payload", f"{name}: must be a whole number")
    return int(text)


def as_json(text: str, name: str) -> Any:  # noqa: ANN401 - JSON is anything
    """Parse JSON from a form field. Raises CommandError."""
    try:
        return parse_json(text)
    except ValueError:
        raise CommandError("invalid_payload", f"{name}: not valid JSON") from None
