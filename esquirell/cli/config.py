"""`esquirell config`: the effective configuration."""

from collections.abc import Iterator, Sized

import click

from esquirell.cli.call import Call, Group, pass_call
from esquirell.cli.output import complain, print_json, say
from esquirell.domain.errors import ConfigError
from esquirell.domain.schedule import FETCH
from esquirell.profiles import Choices
from esquirell.runtime.configuration import refusals
from esquirell.settings import Settings, masked


@click.group("config", cls=Group)
def config() -> None:
    """Show or check the configuration."""


@config.command("show")
@pass_call
def show(call: Call) -> None:
    """Show the effective configuration, secrets masked.

    It combines file, environment, secret files and defaults.
    """
    from esquirell.settings.writing import to_toml  # noqa: PLC0415 - tomlkit, for this alone

    shown = masked(call.settings)
    if call.json:
        print_json(shown)
        return
    click.echo(f"# {_name(call.settings)}")
    click.echo(to_toml(shown), nl=False)


@config.command("check")
@pass_call
def check(call: Call) -> int:
    """Check the configuration; exit with 2 when something in it is wrong."""
    settings = call.settings
    call.warn_without_meters()
    errors = list(_errors(settings))
    warnings = [*settings.warnings, *filter(None, [settings.no_meter])]
    if call.json:
        print_json({"ok": not errors, "errors": errors, "warnings": warnings})
    for error in errors:
        complain(error)
    if not errors and not call.json:
        say(f"{_name(settings)} is fine: {summary(settings)}")
    return 2 if errors else 0


def summary(settings: Settings) -> str:
    """Return how much of each kind is configured."""
    return f"{_count(settings.meters, 'meter')}, {_count(settings.schedules, 'schedule')}"


def _errors(settings: Settings) -> Iterator[str]:
    yield from settings.left_out.values()
    yield from settings.damaged_profiles.values()
    choices = Choices(lambda: settings.profiles_dir)
    for meter in settings.meters:
        if meter.profile in settings.damaged_profiles:
            continue
        try:
            choices.of(meter)
        except ConfigError as error:
            yield f"{_name(settings)}: meters.{meter.name}: {error}"
    for refusal in refusals(settings):
        yield f"{_name(settings)}: {refusal}"
    if not _is_plain(settings):
        yield from _tasks(settings)


def _is_plain(settings: Settings) -> bool:
    """Return whether no task has to be looked up, which is slow."""
    fetches = all(schedule.task == FETCH and not schedule.args for schedule in settings.schedules)
    return fetches and not settings.tasks.modules


def _tasks(settings: Settings) -> Iterator[str]:
    """Check the tasks of the schedules, including users' own."""
    from esquirell.daemon.preparing import without_task  # noqa: PLC0415 - it loads Celery
    from esquirell.tasks import load_own_tasks  # noqa: PLC0415 - the same

    yield from load_own_tasks(settings)
    for sentence in without_task(settings.schedules):
        yield f"{_name(settings)}: {sentence}"


def _count(things: Sized, name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def _name(settings: Settings) -> str:
    return str(settings.source) if settings.source else "the environment"
