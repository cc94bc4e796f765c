"""`esquirell meters`: what is configured, and whether it answers."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from esquirell.cli.adding import add, change, exchange, remove
from esquirell.cli.call import NO_METER, Call, Group, misuse, now, pass_call
from esquirell.cli.corrections import counter
from esquirell.cli.meter_names import METER
from esquirell.cli.moments import local
from esquirell.cli.output import (
    in_terminal,
    print_json,
    print_lines,
    print_table,
    say,
    warn,
    working,
)
from esquirell.cli.sync import sync
from esquirell.cli.values import diagnostics_of, lines_of, plain, print_reading
from esquirell.domain.errors import ConfigError, UnavailableError
from esquirell.domain.meter import Meter
from esquirell.domain.reading import MeterStatus, payload
from esquirell.domain.schedule import Schedule
from esquirell.services.health import described
from esquirell.services.schedules import enabled_of
from esquirell.settings import masked, private_files

if TYPE_CHECKING:
    from esquirell.domain.profile import Profile
    from esquirell.runtime.root import Runtime

_COLUMNS = ("name", "label", "profile", "protocol", "state", "last_success", "failures", "reason")
_NARROW = ("name", "label", "area", "profile", "state", "last_success", "reason")


@click.group("meters", cls=Group)
def meters() -> None:
    """List, show, test, capture and sync meters; add, change, exchange and remove them."""


@meters.command("list")
@pass_call
def list_meters(call: Call) -> None:
    """List the configured meters and their state."""
    meters = call.settings.meters
    listed = described(meters, _statuses(call), _schedules(call), now())
    if call.json:
        print_json(listed)
        return
    listed = [shape | {"reason": _reason(shape)} for shape in listed]
    if in_terminal():
        listed = [
            shape
            | {"label": meter.label, "area": meter.area}
            | {"profile": _profile_in_words(call, meter)}
            | _last_read(shape, call.settings.timezone)
            for shape, meter in zip(listed, meters, strict=True)
        ]
    columns = _NARROW if in_terminal() else _COLUMNS
    rows = [[plain(meter[column]) for column in columns] for meter in listed]
    print_table(columns, rows, empty=NO_METER)


@meters.command("show")
@click.argument("name", type=METER)
@pass_call
def show(call: Call, name: str) -> None:
    """Show one meter: configuration, profile and last reading."""
    meter = _meter(call, name)
    shown = _describe(call, meter)
    if call.json:
        print_json(shown)
        return
    _print_description(shown, call.settings.timezone)


@meters.command("test")
@click.argument("name", type=METER)
@pass_call
def test(call: Call, name: str) -> None:
    """Read one meter now; store and publish nothing.

    While a service runs it does the reading, as a meter serves one connection at a time.
    """
    tried = _try(call.runtime, _meter(call, name))
    if call.json:
        print_json(tried)
        return
    reading, duration_ms = tried["reading"], tried["duration_ms"]
    if in_terminal():
        print_reading(f"{name}, read in {duration_ms} ms", reading, call.settings.timezone)
        print_table(("diagnostic", "value"), diagnostics_of(reading))
        return
    print_lines([*lines_of(reading), ("duration", plain(duration_ms), "ms")])
    print_lines(diagnostics_of(reading))


for command in (add, change, counter, exchange, remove, sync):
    meters.add_command(command)


@meters.command("capture")
@click.argument("name", type=METER)
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="The file to write."
)
@pass_call
def capture(call: Call, name: str, output: Path | None) -> None:
    """Print the raw datapoints of one meter.

    They are JSON for a bug report; nothing is stored. Ids, keys, addresses and anything that looks
    like a serial number are left out. `esquirell profiles try` reads it.
    """
    meter = _meter(call, name)
    if output and os.path.lexists(output):
        raise ConfigError(f"{output} already exists: name another file")
    captured = _capture(call.runtime, meter)
    if output is None:
        print_json(captured)
        return
    private_files.write({output: json.dumps(captured, ensure_ascii=False, indent=2) + "\n"})
    say(f"Written: {output}; review it before you publish it")


def _capture(runtime: "Runtime", meter: Meter) -> Mapping[str, Any]:
    from esquirell.cli import service  # noqa: PLC0415 - it loads Celery, which `list` can spare

    if service.works(runtime):
        return service.finish(runtime, "meter/capture", {"name": meter.name})
    service.prepare_alone(runtime, stores=False)
    try:
        with working(f"Reading {meter.name}"):
            return runtime.devices.capture.take(meter)
    finally:
        runtime.devices.transport.close()


def _try(runtime: "Runtime", meter: Meter) -> Mapping[str, Any]:
    from esquirell.cli import service  # noqa: PLC0415 - it loads Celery, which `list` can spare

    if not service.works(runtime):
        service.prepare_alone(runtime, stores=False)
        try:
            with working(f"Reading {meter.name}"):
                return runtime.polling.fetch.trial(meter.name)
        finally:
            runtime.polling.poller.close()
    return service.finish(runtime, "meter/test", {"name": meter.name})


def _meter(call: Call, name: str) -> Meter:
    found = call.meters([name])
    if len(found) > 1:
        names = ", ".join(meter.name for meter in found)
        raise misuse(f"{name!r} means several meters: name one of {names}")
    return found[0]


def _describe(call: Call, meter: Meter) -> dict[str, Any]:
    configured = next(
        table for table in masked(call.settings)["meters"] if table["name"] == meter.name
    )
    profile = _profile(call, meter)
    status = _statuses(call).get(meter.name, MeterStatus())
    keys = tuple(dict.fromkeys([*(profile.keys if profile else ()), *status.keys]))
    return {
        "configuration": configured,
        "profile": profile.model_dump(include={"name", "title", "model"}) if profile else None,
        "keys": list(keys),
        "status": status.payload() | {"state": _state(call, meter, status)},
        "warnings": _warnings(call, meter.name) if status.last_success else [],
        "reading": _last_reading(call, meter.name, keys) if status.last_success else None,
    } | _spent(call, meter)


def _spent(call: Call, meter: Meter) -> dict[str, Any]:
    """Return, for a cloud meter, how many requests all cloud meters have used."""
    if meter.transport != "cloud":
        return {}
    settings, spent = call.settings.cloud, call.runtime.devices.requests_spent()
    return {
        "cloud": {
            "requests_today": spent.today,
            "requests_per_day": settings.requests_per_day,
            "requests_this_month": spent.this_month,
            "requests_per_month": settings.requests_per_month,
        }
    }


def _warnings(call: Call, name: str) -> list[str]:
    ledger = call.storage.readings.ledgers([name]).get(name)
    return list(ledger.warnings) if ledger else []


def _profile(call: Call, meter: Meter) -> "Profile | None":
    from esquirell.profiles.chosen import UNKNOWN  # noqa: PLC0415 - `list` can spare it

    try:
        profile = call.profiles.of(meter)
    except ConfigError as error:
        warn(f"{meter.name}: {error}")
        return None
    return None if profile is UNKNOWN else profile


def _profile_in_words(call: Call, meter: Meter) -> str:
    """Return the configured profile, and what "auto" has found."""
    found = _profile(call, meter) if meter.profile == "auto" else None
    return f"{meter.profile} ({found.name})" if found else meter.profile


def _last_reading(call: Call, name: str, keys: tuple[str, ...]) -> dict[str, object] | None:
    reading = call.storage.reading_history.latest().get(name)
    if reading is None:
        return None
    shape = payload(reading, keys)
    del shape["diagnostics"]  # those are not stored
    return shape


def _reason(status: Mapping[str, Any]) -> str:
    """Return why a meter is offline, also where no reading has failed."""
    if status["state"] != "offline" or status["reason"]:
        return str(status["reason"] or "")
    if not status["last_success"]:
        return "not read yet"
    return "not read for more than three of its intervals"


def _last_read(status: Mapping[str, Any], zone: str) -> dict[str, str]:
    last = status["last_success"]
    return {"last_success": local(last, zone) if last else "never"}


def _statuses(call: Call) -> Mapping[str, MeterStatus]:
    try:
        return call.storage.reading_history.statuses()
    except UnavailableError as error:
        warn(f"nothing is known about readings: {error}")
        return {}


def _state(call: Call, meter: Meter, status: MeterStatus) -> object:
    (shown,) = described([meter], {meter.name: status}, _schedules(call), now())
    return shown["state"]


def _schedules(call: Call) -> Mapping[str, Schedule]:
    try:
        return enabled_of(call.storage.schedules.all())
    except UnavailableError:
        return {}  # the missing database was reported already


def _print_description(shown: Mapping[str, Any], zone: str) -> None:
    profile, reading = shown["profile"], shown["reading"]
    facts = shown["configuration"] | {"product": profile["title"] if profile else None}
    facts |= {"keys": " ".join(shown["keys"])} | shown["status"] | shown.get("cloud", {})
    if in_terminal():
        facts |= _last_read(shown["status"], zone)
    rows = [(key, plain(value)) for key, value in facts.items()]
    rows += [("warning", warning) for warning in shown["warnings"]]
    if not in_terminal():
        print_lines([*rows, *lines_of(reading or {})])
        return
    print_table(("setting", "value"), [row for row in rows if row[1]])
    if reading:
        click.echo()
        print_reading("Last reading", reading, zone)
