"""`esquirell doctor`: check everything and say what to do."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import click

from esquirell.cli.call import Call, Command, pass_call
from esquirell.cli.checks import machine
from esquirell.cli.checks import meters as meter_checks
from esquirell.cli.checks.finding import Finding, MeterFindings, advice, fault, fine
from esquirell.cli.config import summary
from esquirell.cli.output import print_json, say
from esquirell.cli.ownership import may_enter
from esquirell.domain import counted
from esquirell.domain.errors import ConfigError, EsquirellError, UnavailableError
from esquirell.domain.reading import Ledger
from esquirell.domain.statistic import Periods
from esquirell.settings.files import NoConfigurationError

if TYPE_CHECKING:
    from esquirell.runtime.root import Runtime

T = TypeVar("T")

_COLORS = {"✓": "green", "!": "yellow", "✗": "red"}


@click.command("doctor", cls=Command)
@pass_call
def doctor(call: Call) -> int:
    """Check everything, one line each, with the remedy; exit with 1 if something is wrong."""
    call.warns = False  # they are among the findings
    findings = _reported(_findings(call), quiet=call.json)
    if call.json:
        print_json([finding.payload() for finding in findings])
    return 0 if all(finding.ok for finding in findings) else 1


def _reported(findings: Iterable[Finding], *, quiet: bool) -> list[Finding]:
    """Report each finding as soon as it is there, as some take their time.

    For many meters the good ones are counted at the end.
    """
    reported, of_meters = [], MeterFindings()
    for finding in findings:
        reported.append(finding)
        if not quiet and not of_meters.take(finding):
            _say(finding)
    for finding in of_meters.findings() if not quiet else ():
        _say(finding)
    return reported


def _say(finding: Finding) -> None:
    remedy = f" → {finding.remedy}" if finding.remedy else ""
    sentence = f"{finding.mark} {finding.check}: {finding.message}{remedy}"
    say(sentence, color=_COLORS[finding.mark])


def _findings(call: Call) -> Iterator[Finding]:
    yield machine.system()
    try:
        settings = call.settings
    except NoConfigurationError as error:
        yield fault("configuration", error.finding, error.remedy)
        return
    except ConfigError as error:
        remedy = "correct it, or write a new one: esquirell init --force"
        yield fault("configuration", str(error), remedy)
        return
    yield fine("configuration", f"{settings.source or 'the environment'}: {summary(settings)}")
    for warning in settings.warnings:
        yield advice("configuration", warning, "follow it, or ignore it if this is intended")
    yield machine.state_directory(settings)
    yield machine.disk(settings)
    yield from machine.interruptions(settings)
    yield from machine.exposed(settings.meters, settings.source)
    yield from meter_checks.configured(settings, call.profiles)
    if may_enter(settings.state_dir):
        yield from _around(call.runtime)


def _around(runtime: "Runtime") -> Iterator[Finding]:
    """Check what takes long to load, or to answer."""
    from esquirell.cli import service  # noqa: PLC0415 - they load Celery
    from esquirell.cli.checks import servers  # noqa: PLC0415

    statuses = _stored(runtime, runtime.storage.readings.statuses)
    times = [status.last_success for status in statuses.values() if status.last_success]
    now, newest = datetime.now(UTC), max(times, default=None)
    yield machine.clock(now, newest, runtime.settings.timezone, synchronized=machine.synchronized())
    for name, look in (
        ("database", servers.database),
        ("redis", servers.redis),
        ("mqtt", servers.mqtt),
        ("service", servers.running),
    ):
        yield _checked(name, look, runtime)
    if runtime.settings.cloud.api_key:
        yield _checked("cloud", servers.budget, runtime)
    meters = runtime.meters()
    if service.works(runtime):
        if any(meter.queue for meter in meters):
            yield _checked("queues", servers.queues, runtime)
        yield from meter_checks.polled(meters, statuses)
    else:
        yield from meter_checks.read(meters, runtime.devices.profiles)
    yield from meter_checks.plausible(meters, _ledgers(runtime), _disagreements(runtime))


def _checked(name: str, look: Callable[["Runtime"], Finding], runtime: "Runtime") -> Finding:
    try:
        return look(runtime)
    except EsquirellError as error:
        return fault(name, str(error), "correct that, then run esquirell doctor again")


def _ledgers(runtime: "Runtime") -> Mapping[str, Ledger]:
    names = [meter.name for meter in runtime.meters()]
    return _stored(runtime, lambda: runtime.storage.readings.ledgers(names))


def _disagreements(runtime: "Runtime") -> Mapping[str, str]:
    storage, names = runtime.storage, [meter.name for meter in runtime.meters()]
    now = storage.clock()
    periods = Periods("hour", now - counted.LOOKED_BACK, now)

    def compare() -> Mapping[str, str]:
        hours = ((name, list(storage.periods.query([name], periods))) for name in names)
        return {name: found for name, of in hours if (found := counted.disagreement(of))}

    return _stored(runtime, compare)


def _stored(runtime: "Runtime", look: Callable[[], Mapping[str, T]]) -> Mapping[str, T]:
    """Return what is stored about the meters; a missing database is a finding of its own."""
    try:
        file = runtime.storage.database.file
        return look() if file is None or file.exists() else {}
    except (ConfigError, UnavailableError):
        return {}
