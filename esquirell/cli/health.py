"""`esquirell health`: for the checks of containers, systemd and people."""

from collections.abc import Collection, Mapping

import click

from esquirell.cli.call import Call, Command, pass_call
from esquirell.cli.output import print_json, say
from esquirell.domain.errors import EsquirellError, UnavailableError
from esquirell.runtime.liveness import meters_are_stored
from esquirell.services.health import ROLES


@click.command("health", cls=Command)
@click.argument("role", type=click.Choice((*ROLES, "web", "flower")), required=False)
@click.option("--here", is_flag=True, help="ROLE has to work on this machine, or container.")
@pass_call
def health(call: Call, role: str | None, *, here: bool) -> None:
    """Exit with 0 only when ROLE works, wherever it is; without: all that run on this machine."""
    if call.json:
        print_json(call.runtime.health.report())
    alive = _alive(call, anywhere=role is not None and not here)
    _check_roles(role, alive)
    _check_database(call)
    if not call.json:
        say(f"{', '.join([role] if role else alive)}: working")


def _alive(call: Call, *, anywhere: bool) -> Mapping[str, str]:
    try:
        # One that is there and refuses is of no more use than one that is not.
        call.presence.probe()
        if anywhere:
            return call.presence.roles()
        # Of a worker that serves one queue, the role is worker@queue.
        here = call.presence.here()
        return {name.partition("@")[0]: since for name, since in here.items()}
    except UnavailableError:
        if call.settings.redis.embedded and not _runs_here(call):
            return {}  # the Redis that is away would be the one of the service
        raise


def _check_roles(role: str | None, alive: Collection[str]) -> None:
    if role and role not in alive:
        raise EsquirellError(f"no {role} is alive: start esquirell run, or esquirell {role}")
    if not alive:
        raise EsquirellError("nothing runs on this machine: start esquirell run")


def _runs_here(call: Call) -> bool:
    from esquirell.cli import service  # noqa: PLC0415 - it takes long, and few need it

    return service.runs_here(call.runtime)


def _check_database(call: Call) -> None:
    if not meters_are_stored(call.settings):
        call.storage.readings.statuses()
