"""Meters: how each is doing and what it says; what can be done about it."""

from collections.abc import Mapping
from typing import Any

from tornado.web import HTTPError

from esquirell.domain.errors import CommandError, EsquirellError
from esquirell.services.commands import failure
from esquirell.settings import masked
from esquirell.web.formats import by_energy_first
from esquirell.web.handler import status_of
from esquirell.web.overview import Glance
from esquirell.web.steering import Given, Steering

COMMANDS = ("fetch", "meter/test")


class Meters(Steering):
    """All meters."""

    page = "meters"

    async def get(self) -> None:
        """Show how all meters are doing."""
        house = await self.compute(self.site.overview.look)
        self.render("meters.html", house=house)


class Meter(Steering):
    """One meter: its values, what is doubted about them, its configuration."""

    page = "meters"

    async def get(self, name: str) -> None:
        """Show the meter."""
        await self._show(name)

    async def post(self, name: str) -> None:
        """Give a command about the meter."""
        command = self.field("command")
        try:
            data = self._data(command, name)
        except EsquirellError as error:
            self.set_status(status_of(error.code))
            given = Given(self.field("place"), command, {}, failure(error))
        else:
            given = await self.give(command, data)
        await self._show(name, given)

    def _data(self, command: str, name: str) -> Mapping[str, Any]:
        if command == "fetch":
            return {"meters": [name]} | self.transaction()
        if command == "meter/test":
            return {"name": name} | self.transaction()
        raise CommandError("unknown_command", "the page knows no such command")

    async def _show(self, name: str, given: Given | None = None) -> None:
        house = await self.compute(self.site.overview.look)
        found = next((one for one in house.meters if one.meter.name == name), None)
        if found is None:
            raise HTTPError(404)
        self.render(
            "meter.html",
            one=found,
            house=house,
            given=given,
            keys=_keys(found),
            facts=self._facts(name),
        )

    def _facts(self, name: str) -> Mapping[str, Any]:
        """Return the configuration of the meter, without any secret."""
        shown = masked(self.site.runtime.settings)["meters"]
        facts: Mapping[str, Any] = next((one for one in shown if one["name"] == name), {})
        return {key: value for key, value in facts.items() if value not in ("", False, None)}


def _keys(one: Glance) -> list[str]:
    values = dict.fromkeys(one.status.keys) | dict(one.reading.values if one.reading else {})
    return by_energy_first(values)
