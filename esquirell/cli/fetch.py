"""`esquirell fetch`: read meters now."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any

import click

from esquirell.cli import service
from esquirell.cli.call import Call, Command, misuse, pass_call
from esquirell.cli.meter_names import METER
from esquirell.cli.mqtt import LEAVE_S, reach
from esquirell.cli.output import complain, in_terminal, print_json, print_lines, warn, working
from esquirell.cli.values import Shape, lines_of, print_reading
from esquirell.domain.meter import Meter
from esquirell.domain.reading import Outcome, payload
from esquirell.domain.record import record
from esquirell.runtime.root import Runtime
from esquirell.services.poll import PollOptions

_MOMENT = timedelta(milliseconds=1)


@record
class Fetched:
    """The answer to a fetch, and by name what each meter said, in the published shape."""

    data: Mapping[str, Any]
    shapes: dict[str, Shape]
    warnings: list[str] = field(default_factory=list)
    unpublished: list[str] = field(default_factory=list)


@click.command("fetch", cls=Command)
@click.argument("names", nargs=-1, type=METER, metavar="[NAME]...")
@click.option("--no-save", is_flag=True, help="Do not store the readings.")
@click.option("--no-publish", is_flag=True, help="Do not send the readings to the MQTT broker.")
@pass_call
def fetch(call: Call, names: Sequence[str], no_save: bool, no_publish: bool) -> int:
    """Read meters now, all or the named ones; print, save and publish the values.

    While a service runs it does the work, as a meter serves one connection at a time.
    """
    meters = call.meters(names)
    options = PollOptions(save=not no_save, publish=not no_publish, forced=True)
    if service.works(call.runtime):
        chosen = [meter.name for meter in meters] if names else []
        fetched = _through_service(call.runtime, chosen, options)
    else:
        fetched = _directly(call.runtime, meters, options)
    if call.json:
        print_json(fetched.data)
    else:
        _show(fetched.shapes, call.settings.timezone)
    return _judge(fetched)


def _directly(runtime: Runtime, meters: Sequence[Meter], options: PollOptions) -> Fetched:
    service.prepare_alone(runtime, stores=options.save)
    if options.publish:
        runtime.mqtt.connection.start()
    try:
        with working(f"Reading {len(meters)} meters" if len(meters) > 1 else "Reading the meter"):
            outcomes = runtime.polling.poller.poll(meters, options)
    finally:
        runtime.polling.poller.close()
    fetched = _of_outcomes(runtime, meters, outcomes)
    if options.publish:
        fetched.unpublished.extend(_send(runtime))
    return fetched


def _send(runtime: Runtime) -> list[str]:
    """Send what waits for the broker; return why that failed."""
    runtime.mqtt.publisher.publish_held()
    trouble = reach(runtime.mqtt.connection)
    runtime.mqtt.connection.stop(LEAVE_S)
    return [f"nothing was published: {trouble}; --no-publish leaves it out"] if trouble else []


def _of_outcomes(
    runtime: Runtime, meters: Sequence[Meter], outcomes: Mapping[str, Outcome]
) -> Fetched:
    data = {"meters": {name: outcome.payload() for name, outcome in outcomes.items()}}
    fetched = Fetched(data, {})
    for meter in meters:
        if reading := outcomes[meter.name].reading:
            fetched.shapes[meter.name] = payload(reading, runtime.polling.poller.keys_of(meter))
            fetched.warnings.extend(f"{meter.name}: {warning}" for warning in reading.warnings)
    return fetched


def _through_service(runtime: Runtime, names: Sequence[str], options: PollOptions) -> Fetched:
    if options.save and options.publish:
        return _save_and_publish(runtime, list(names) or None)
    if options.save or options.publish:
        raise misuse(
            "a service is running, through which a fetch can only skip both: give --no-save and "
            "--no-publish together, or stop the service"
        )
    return _try(runtime, names or [meter.name for meter in runtime.meters()])


def _save_and_publish(runtime: Runtime, names: list[str] | None) -> Fetched:
    task_id = service.submit(runtime, "fetch", {"meters": names})
    answer = service.answer_to(runtime, task_id)
    if "meters" not in answer.data:
        raise service.failure(answer)
    results = answer.data["meters"]
    read = {
        name: result["measured_at"] for name, result in results.items() if result["status"] == "ok"
    }
    shapes = {name: _stored(runtime, name, moment) for name, moment in read.items()}
    return Fetched({"task_id": task_id, **answer.data}, shapes)


def _stored(runtime: Runtime, name: str, measured_at: str | None) -> Shape:
    """Look up what the service read; readings that wait to be stored are missing."""
    if measured_at is None:
        return {"measured_at": None, "diagnostics": {"clock": "unset"}}
    moment = datetime.fromisoformat(measured_at)
    keys = runtime.storage.readings.statuses()[name].keys
    found = runtime.storage.readings.query([name], moment, moment + _MOMENT)
    return next((payload(reading, keys) for reading in found), {"measured_at": measured_at})


def _try(runtime: Runtime, names: Sequence[str]) -> Fetched:
    """Let the service read meters in parallel, without storing or publishing."""
    tasks = {name: service.submit(runtime, "meter/test", {"name": name}) for name in names}
    answers = {name: service.answer_to(runtime, task_id) for name, task_id in tasks.items()}
    shapes = {
        name: answer.data["reading"] for name, answer in answers.items() if answer.status == "ok"
    }
    failures = {
        name: Outcome(error=service.failure(answer)).payload()
        for name, answer in answers.items()
        if answer.status != "ok"
    }
    done = {
        name: {"status": "ok", "measured_at": shape["measured_at"]}
        for name, shape in shapes.items()
    }
    return Fetched({"meters": {name: (done | failures)[name] for name in names}}, shapes)


def _show(shapes: Mapping[str, Shape], zone: str) -> None:
    for name, shape in shapes.items():
        if in_terminal():
            print_reading(name, shape, zone)
        else:
            print_lines((name, *line) for line in lines_of(shape))


def _judge(fetched: Fetched) -> int:
    for warning in fetched.warnings:
        warn(warning)
    failed = [outcome for outcome in fetched.data["meters"].values() if outcome["status"] != "ok"]
    for sentence in [*fetched.unpublished, *(outcome["error"] for outcome in failed)]:
        complain(sentence)
    return 1 if failed or fetched.unpublished else 0
