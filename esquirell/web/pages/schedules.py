"""Schedules: when each task runs, and how to change that."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from esquirell.domain.errors import CommandError, EsquirellError
from esquirell.domain.meter import in_natural_order
from esquirell.services.commands import failure
from esquirell.services.schedules import Schedules as ScheduleService
from esquirell.web.command_page import CommandPage, SubmittedCommand, as_json, as_number
from esquirell.web.handler import status_of
from esquirell.web.json_text import fingerprint

# The commands of buttons that need only the schedule's name.
BY_NAME = (
    "schedule/run",
    "schedule/enable",
    "schedule/disable",
    "schedule/remove",
    "schedule/reset",
)
RUNS_SHOWN = 5


class Schedules(CommandPage):
    """The list, with a form for each schedule and one for a new one."""

    page = "schedules"

    async def get(self) -> None:
        """Show all schedules."""
        await self._show()

    async def post(self) -> None:
        """Return the command of a form."""
        command = self.command
        try:
            if command == "schedule/set":
                name = self.field("name").strip()
                submitted = await self.submit_unless_changed(
                    command, name, self._fields(), lambda: self._shown_of(name)
                )
            else:
                submitted = await self.submit(command, self._data(command))
        except EsquirellError as error:
            self.set_status(status_of(error.code))
            submitted = SubmittedCommand(self.place, command, {}, failure(error))
        if submitted.answer.status == "error":
            submitted = replace(submitted, data=self._typed())
        await self._show(submitted)

    def _data(self, command: str) -> Mapping[str, Any]:
        name = {"name": self.field("name").strip()} | self.transaction()
        if command in BY_NAME:
            return name
        if command == "schedule/add":
            task = self.field("task")
            return name | self._fields() | ({"task": task} if task else {})
        raise CommandError("unknown_command", "this page has no such command")

    def _fields(self) -> dict[str, Any]:
        """Read the rule and the other fields of the form."""
        args = self.field("args").strip()
        return {
            **self._rule(),
            "meters": None
            if self.field("all_meters")
            else sorted(self.get_body_arguments("meters")),
            "args": as_json(args, "args") if args else {},
        }

    def _rule(self) -> dict[str, Any]:
        if self.field("rule") == "cron":
            zone = self.field("timezone").strip()
            return {"cron": self.field("cron").strip(), "timezone": zone or None}
        every, unit = self.field("every").strip(), self.field("unit", "1")
        return {"every": as_number(every, "every") * as_number(unit, "every")}

    def _typed(self) -> dict[str, Any]:
        """Return the values of the form, to show them again next to the error."""
        names = ("name", "task", "rule", "every", "unit", "cron", "timezone", "args", "all_meters")
        typed: dict[str, Any] = {name: self.get_body_argument(name, "") for name in names}
        return typed | {"meters": self.get_body_arguments("meters")}

    async def _show(self, submitted: SubmittedCommand | None = None) -> None:
        runtime = self.site.runtime
        listed = await self.run("schedule/list", {})
        tasks = await self.run("task/list", {})
        schedules = list(listed.data.get("schedules", ()))
        if submitted and submitted.place not in {
            "new.",
            *(schedule["name"] for schedule in schedules),
        }:
            # It may have been removed meanwhile. No schedule has a name with a dot.
            submitted = replace(submitted, place="list.")
        self.render(
            "schedules.html",
            schedules=sorted(schedules, key=lambda one: in_natural_order(one["name"])),
            trouble=listed.error or "",
            tasks=tasks.data.get("tasks", ()),
            meters=runtime.meters(),
            submitted=submitted,
            zone=self.site.zone,
            configured={schedule.name for schedule in runtime.settings.schedules},
            plan_for=self._plan,
            seen=lambda schedule: fingerprint(edited(schedule)),
        )

    async def _shown_of(self, name: str) -> dict[str, Any] | None:
        """Return what the form of a schedule shows now, or None if there is no such schedule."""
        listed = await self.run("schedule/list", {})
        found = (
            schedule for schedule in listed.data.get("schedules", ()) if schedule["name"] == name
        )
        return next((edited(schedule) for schedule in found), None)

    def _plan(self, schedule: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a crontab in words and its next runs."""
        return plan_of(self.site.runtime.schedules, schedule)


def edited(schedule: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the form of a schedule changes."""
    shown = {key: schedule.get(key) for key in ("every", "cron", "timezone", "meters", "args")}
    return shown | {"meters": None if shown["meters"] is None else sorted(shown["meters"])}


class Preview(CommandPage):
    """A crontab in words with its next runs, while it is typed: a fragment of the page."""

    async def get(self) -> None:
        """Show the fragment."""
        schedule = {
            "cron": self.get_query_argument("cron", "")[:200],
            "timezone": self.get_query_argument("timezone", "")[:100] or None,
        }
        plan = plan_of(self.site.runtime.schedules, schedule)
        self.render("_plan.html", plan=plan)


def plan_of(schedules: ScheduleService, schedule: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a crontab in words, its next runs, or what is wrong with it."""
    try:
        words, runs = schedules.explain(schedule["cron"], schedule.get("timezone"), RUNS_SHOWN)
    except EsquirellError as error:
        return {"error": str(error), "words": "", "runs": ()}
    return {"error": "", "words": words, "runs": runs}
