"""`esquirell health`: for the checks of containers, systemd and people."""

from collections.abc import Collection, Mapping
from typing import Any

import click

from esquirell.cli import service
from esquirell.cli.call import Call, Command, pass_call
from esquirell.cli.output import print_json
from esquirell.domain.errors import EsquirellError, UnavailableError
from esquirell.runtime import Runtime
from esquirell.services.health import ROLES


@click.command("health", cls=Command)
@click.argument("role", type=click.Choice((*ROLES, "flower")), required=False)
@click.option("--here", is_flag=True, help="ROLE has to work on this machine, or container.")
@pass_call
def health(call: Call, role: str | None, *, here: bool) -> None:
    """Exit with 0 only when ROLE works, wherever it is; without: all that run on this machine."""
    report: Mapping[str, Any] = {}
    if call.json:
        report = call.runtime.health.report()
        print_json(report)
    alive = _alive(call.runtime, anywhere=role is not None and not here)
    _check_roles(role, alive)
    _check_database(report or call.runtime.health.report())
    if not call.json:
        click.echo(f"{', '.join([role] if role else alive)}: working")


def _alive(runtime: Runtime, *, anywhere: bool) -> Mapping[str, str]:
    try:
        if anywhere:
            return runtime.presence.roles()
        # Of a worker that serves one queue, the role is worker@queue.
        here = runtime.presence.here()
        return {name.partition("@")[0]: since for name, since in here.items()}
    except UnavailableError:
        if runtime.settings.redis.embedded and not service.runs_here(runtime):
            return {}  # the Redis that is away would be the one of the service
        raise


def _check_roles(role: str | None, alive: Collection[str]) -> None:
    if role and role not in alive:
        raise EsquirellError(f"no {role} is alive: start esquirell run, or esquirell {role}")
    if not alive:
        raise EsquirellError("nothing runs on this machine: start esquirell run")


def _check_database(report: Mapping[str, Any]) -> None:
    if not report["database"]["ok"]:
        raise EsquirellError(report["database"]["error"])
