"""Pages on which commands are given: the answer is shown where the command was given."""

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
    """A command that was just given on a page, at a place of it, and its first answer."""

    place: str
    command: str
    data: Mapping[str, Any]
    answer: Answer

    @property
    def task_id(self) -> str:
        """The record that tells the end of a job; empty for anything else."""
        return str(self.answer.data.get("task_id", "")) if self.answer.status == "accepted" else ""


class CommandPage(Handler):
    """A page with forms: a form names its command and its place on the page."""

    async def run(self, command: str, data: Mapping[str, Any], lane: Lane = "now") -> Answer:
        """Run a command as one of the page."""
        request = Request("web", command, data)
        return await self.compute(lambda: self.site.runtime.commands.handle(request), lane)

    async def submit(self, command: str, data: Mapping[str, Any]) -> SubmittedCommand:
        """Run the command of a form, and note where its answer is to be shown."""
        # Some read a meter, and wait for it.
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
        """Whose the devices are that were found: those of this browser's session."""
        return self.session or "ingress"

    async def wait_for(self, work: Callable[[], Result], lane: Lane = "devices") -> Result:
        """Wait for a device or an account beside the loop.

        Raises what it raises, for the page to show.
        """
        return await asyncio.get_running_loop().run_in_executor(self.site.lanes[lane], work)

    def field(self, name: str, default: str = "") -> str:
        """Return a field of the form. Raises CommandError when it is too long."""
        value = self.get_body_argument(name, default)
        if len(value) > LONGEST_FIELD:
            raise CommandError("too_large", f"{name} has over {LONGEST_FIELD} characters")
        return value

    async def submit_unless_changed(
        self,
        command: str,
        name: str,
        fields: Mapping[str, Any],
        current: Callable[[], Awaitable[Mapping[str, Any] | None]],
    ) -> SubmittedCommand:
        """Run the command of a form whose settings are still those that it was filled in beside.

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
        """Return what lets a form that is sent twice run once."""
        value = self.field("transaction")
        return {"transaction": value} if value else {}


class CommandProgress(Handler):
    """What a command came to so far: a part of a page, which our script shows in its place."""

    async def get(self, task_id: str) -> None:
        """Show it."""
        log = self.site.runtime.storage.commands
        record = await self.compute(lambda: log.get(task_id))
        if record is None:
            self.send_error(404)
            return
        self.render("_progress.html", record=record, steps=steps_of(record))


def steps_of(record: CommandRecord) -> list[tuple[str, Any]]:
    """Return the steps of a command: `accepted`, then `done` or `refused`, with their moments."""
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
    """Return a whole number that was typed. Raises CommandError."""
    if not _WHOLE.fullmatch(text):
        raise CommandError("invalid_payload", f"{name}: must be a whole number")
    return int(text)


def as_json(text: str, name: str) -> Any:  # noqa: ANN401 - JSON is anything
    """Read JSON that was typed. Raises CommandError."""
    try:
        return parse_json(text)
    except ValueError:
        raise CommandError("invalid_payload", f"{name}: not valid JSON") from None
