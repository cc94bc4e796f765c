"""Meters: the state and values of each, and its commands."""

import re
import socket
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tornado.web import HTTPError

from esquirell.domain.command import Answer, CommandRecord
from esquirell.domain.errors import CommandError, ConfigError, EsquirellError
from esquirell.domain.meter import Meter as MeterSettings
from esquirell.services.commands import failure
from esquirell.settings import masked
from esquirell.settings.added_meters import file_of
from esquirell.web.command_page import LONGEST_FIELD, CommandPage, SubmittedCommand
from esquirell.web.formats import by_energy_first
from esquirell.web.handler import ProblemError, status_of
from esquirell.web.json_text import fingerprint
from esquirell.web.narrowed import MANY, ORDERS, Narrowed, areas_of
from esquirell.web.overview import House, MeterSnapshot
from esquirell.web.pages.adding import (
    PROTOCOLS,
    SHOWN_FIELDS,
    direction,
    profiles,
    typed_fields,
)
from esquirell.web.pages.finding import sent_devices
from esquirell.web.places import day_of, of_meter
from esquirell.web.stream import Stream

# How many commands are searched for failures of the meter.
LOOKED_THROUGH = 300
ERRORS_SHOWN = 5
# These pages wait a little longer for the day's energy.
PATIENCE_S = 2.0
_NAME = re.compile(r"[a-z0-9_-]{1,64}")


class Meters(CommandPage):
    """All meters."""

    page = "meters"

    async def get(self) -> None:
        """Show the state of all meters."""
        await self._show(None)

    async def post(self) -> None:
        """Read all meters."""
        if self.command != "fetch":
            raise HTTPError(422)
        await self._show(await self.submit("fetch", self.transaction()))

    async def _show(self, submitted: SubmittedCommand | None) -> None:
        house = await self.compute(lambda: self.site.overview.look(PATIENCE_S))
        narrowed = Narrowed.by(self.get_query_argument)
        shown = narrowed.of(house.meters)
        self.render(
            "meters.html",
            house=house,
            narrowed=narrowed,
            meters=shown,
            sums=replace(house, meters=tuple(shown)),
            areas=areas_of(house.meters),
            orders=ORDERS,
            many=len(house.meters) > MANY,
            submitted=submitted,
            removed=self._removed(house),
        )

    def _removed(self, house: House) -> str:
        """Return the meter that was just removed: the address of the page names it."""
        name = self.get_query_argument("removed", "")
        known = {snapshot.meter.name for snapshot in house.meters}
        return name if _NAME.fullmatch(name) and name not in known else ""


class Meter(CommandPage):
    """One meter: its values, warnings about them, its configuration."""

    page = "meters"

    async def get(self, name: str) -> None:
        """Show the meter."""
        await self._show(name)

    async def post(self, name: str) -> None:
        """Return a command about the meter."""
        command = self.command
        try:
            steps: dict[str, dict[str, Any]] = {
                "fetch": {"meters": [name]},
                "meter/test": {"name": name},
                "meter/remove": {"name": name, "forget": bool(self.named("forget"))},
            }
            if command in steps:
                submitted = await self.submit(command, steps[command] | self.transaction())
            elif command == "meter/set":
                submitted = await self.submit_unless_changed(
                    command, name, self._changed(), lambda: self._shown_of(name)
                )
            else:
                submitted = await self._new_key(command, name)
        except EsquirellError as error:
            self.set_status(status_of(error.code) if error.code != "internal" else 422)
            submitted = SubmittedCommand(self.place, command, {}, failure(error))
        if submitted.command == "meter/remove" and submitted.answer.status == "ok":
            self.redirect(f"{self.visit.base}/meters?removed={name}", status=303)
            return
        await self._show(name, submitted)

    async def _shown_of(self, name: str) -> dict[str, Any] | None:
        """Return what the form of a meter shows now, or None if there is no such meter."""
        runtime = self.site.runtime
        # What the command line has changed is noticed only some seconds later.
        await self.wait_for(runtime.reload)
        found = (meter for meter in runtime.meters() if meter.name == name)
        return next((edited(meter) for meter in found), None)

    def _typed(self, submitted: SubmittedCommand | None) -> dict[str, str]:
        """Return what was typed in the form of the settings, to be shown again if it is refused."""
        if not submitted or submitted.answer.status != "error" or not self.named("seen"):
            return {}
        return {name: self.get_body_argument(name, "")[:LONGEST_FIELD] for name in SHOWN_FIELDS}

    def _changed(self) -> dict[str, Any]:
        fields = typed_fields(self)
        # What was emptied is to be as if it had never been set.
        for name in SHOWN_FIELDS:
            if name in self.request.body_arguments:
                field = MeterSettings.model_fields[name]
                fields.setdefault(name, "" if field.is_required() else field.default)
        if enabled := self.named("enabled"):
            fields["enabled"] = enabled == "yes"
        return fields

    async def _new_key(self, command: str, name: str) -> SubmittedCommand:
        """Take another key: from the cloud, or from an uploaded devices.json."""
        meter = next((meter for meter in self.site.runtime.meters() if meter.name == name), None)
        if meter is None:
            raise HTTPError(404)
        if command == "key/cloud":
            cloud = self.site.runtime.devices.cloud
            if cloud is None:
                raise ConfigError("no cloud account: set api_key and api_secret under [cloud]")
            key = await self.wait_for(lambda: cloud.local_key(meter))
        elif command == "key/file":
            sent = await self.wait_for(lambda: sent_devices(self))
            listed = {device.meter.device_id: device.meter for device in sent.devices}
            if meter.device_id not in listed:
                raise CommandError("invalid_payload", "the file does not contain this device")
            key = listed[meter.device_id].local_key.get_secret_value()
        else:
            raise CommandError("unknown_command", "this page has no such command")
        return await self.submit("meter/set", {"name": name, "local_key": key})

    async def _show(self, name: str, submitted: SubmittedCommand | None = None) -> None:
        house = await self.compute(lambda: self.site.overview.look(PATIENCE_S))
        found = next((snapshot for snapshot in house.meters if snapshot.meter.name == name), None)
        if found is None and submitted and submitted.answer.status == "error":
            # It was removed meanwhile: the command reports that, and lists the meters.
            answer = submitted.answer
            raise ProblemError(CommandError(answer.code or "internal", answer.error or ""))
        if found is None:
            raise HTTPError(404)
        runtime = self.site.runtime
        settings = runtime.settings
        log = runtime.storage.commands
        keys = keys_of(found)
        records = [] if house.trouble else await self.compute(lambda: log.recent(LOOKED_THROUGH))
        typed = self._typed(submitted)
        self.render(
            "meter.html",
            one=found,
            house=house,
            submitted=submitted,
            typed=typed,
            direction=direction(typed.get("invert") or found.meter.invert),
            seen=fingerprint(edited(found.meter)),
            keys=keys,
            live=of_meter(found, keys, self.formats),
            day=day_of(found),
            facts=self._facts(name),
            errors=_errors(records, name),
            is_added=name in settings.added,
            exchanged=self.get_query_argument("exchanged", "") != "",
            added_now=self.get_query_argument("added", ""),
            file=file_of(settings.state_dir, name) if name in settings.added else settings.source,
            host=socket.gethostname(),
            cloud=settings.cloud.api_key != "",
            profiles=profiles(found.meter.profile),
            protocols=PROTOCOLS,
            meters=[meter for meter in runtime.meters() if meter.name != name],
        )

    def _facts(self, name: str) -> Mapping[str, Any]:
        """Return the configuration of the meter without secrets."""
        shown = masked(self.site.runtime.settings)["meters"]
        facts: Mapping[str, Any] = next((meter for meter in shown if meter["name"] == name), {})
        hidden = {"local_key", "name", "label", "area"}
        usual = {"enabled": True}
        return {
            key: value
            for key, value in facts.items()
            if key not in hidden and value not in ("", None, usual.get(key, False))
        }


def edited(meter: MeterSettings) -> dict[str, Any]:
    """Return what the form of a meter's settings shows of it."""
    return {name: getattr(meter, name) for name in SHOWN_FIELDS}


class LiveMeter(Stream):
    """The live values on the page of a meter."""

    async def get(self, *path: str) -> None:
        """Stream the values. Raises HTTPError when there is no such meter."""
        (self._name,) = path
        if self._name not in {meter.name for meter in self.site.runtime.meters()}:
            raise HTTPError(404)
        await super().get()

    def shown(self, house: House) -> dict[str, Any]:
        """Return the values; if the meter is gone, a value that makes the page reload."""
        for snapshot in house.meters:
            if snapshot.meter.name == self._name:
                return of_meter(snapshot, keys_of(snapshot), self.formats)
        return {"page:shape": ""}


def keys_of(snapshot: MeterSnapshot) -> list[str]:
    """Return the quantity keys of a meter, energies first."""
    values = dict.fromkeys(snapshot.status.keys)
    values |= snapshot.reading.values if snapshot.reading else {}
    return by_energy_first(values)


def _errors(records: list[CommandRecord], name: str) -> list[tuple[CommandRecord, str]]:
    """Return the latest failed commands of a meter with their errors."""
    found = [(record, _error(record, name)) for record in records if record.answer]
    return [(record, error) for record, error in found if error][:ERRORS_SHOWN]


def _error(record: CommandRecord, name: str) -> str:
    answer: Answer | None = record.answer
    if answer is None or answer.status != "error":
        return ""
    outcomes = answer.data.get("meters")
    if isinstance(outcomes, dict):
        return str((outcomes.get(name) or {}).get("error") or "")
    concerns = record.request.get("name") == name and record.command.startswith("meter/")
    return (answer.error or "") if concerns else ""
