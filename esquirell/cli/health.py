"""`esquirell health`: for the checks of containers, systemd and people."""

import socket
from collections.abc import Iterator, Mapping, Sequence

import click

from esquirell.cli.call import Call, Command, pass_call
from esquirell.cli.output import print_json, say
from esquirell.domain.errors import EsquirellError, UnavailableError
from esquirell.domain.process import Process
from esquirell.domain.reading import FAILURES_TO_OFFLINE
from esquirell.runtime.liveness import failures_of_meters
from esquirell.services.health import ROLES

NOTHING_RUNS = "nothing runs on this machine: start esquirell run"


@click.command("health", cls=Command)
@click.argument("role", type=click.Choice((*ROLES, "web", "flower")), required=False)
@click.option("--here", is_flag=True, help="ROLE has to work on this machine, or container.")
@pass_call
def health(call: Call, role: str | None, *, here: bool) -> None:
    """Exit with 0 only when ROLE works, wherever it is; without: all that run on this machine.

    What keeps it from its work is said in the words of Redis, the broker or the database. Meters
    that do not answer are said, too, and are no reason to exit with 1.
    """
    if call.json:
        print_json(call.runtime.health.report())
    processes, problems = _processes(call)
    ours = _concerned(processes, role, anywhere=role is not None and not here)
    problems += _problems_of(ours, role) if not problems else []
    failures = failures_of_meters(call.settings)
    if failures is None:
        problems += _problems_of_database(call, runs=bool(ours))
    if problems:
        raise EsquirellError("; ".join(dict.fromkeys(problems)))
    if not call.json:
        names = dict.fromkeys(name.partition("@")[0] for one in ours for name in one.roles)
        say(f"{', '.join([role] if role else names)}: working")
        for note in (*_gone(processes), *_silent(call, failures or {})):
            say(note)


def _processes(call: Call) -> tuple[Sequence[Process], list[str]]:
    """Return the processes, and why they are not known where Redis does not serve us."""
    try:
        # One that is there and refuses is of no more use than one that is not.
        call.presence.probe()
        return call.presence.processes(), []
    except UnavailableError as error:
        if call.settings.redis.embedded and not _runs_here(call):
            return (), [_nothing_runs(call)]  # it would be the one of the service
        return (), [str(error)]


def _nothing_runs(call: Call) -> str:
    """Say that nothing runs; the way to a service that does leads through the state directory."""
    folder = call.settings.state_dir
    return NOTHING_RUNS if folder.is_dir() else f"there is no {folder}, and {NOTHING_RUNS}"


def _concerned(processes: Sequence[Process], role: str | None, *, anywhere: bool) -> list[Process]:
    """Return the living processes that a question is about."""
    living = [one for one in processes if one.alive]
    if anywhere:
        return [one for one in living if role in one.roles]
    here = [one for one in living if one.host == socket.gethostname()]
    return [one for one in here if role is None or one.has(role)]


def _problems_of(processes: Sequence[Process], role: str | None) -> list[str]:
    if not processes:
        return [_absent(role)]
    return [problem for one in processes for problem in one.problems]


def _absent(role: str | None) -> str:
    if role is None:
        return NOTHING_RUNS
    return f"no {role} is alive: start esquirell run, or esquirell {role}"


def _problems_of_database(call: Call, *, runs: bool) -> list[str]:
    """Say what is wrong with the database; where nothing runs it may not have been made yet."""
    database = call.upkeep.database
    if not runs and database.file is not None and not database.file.exists():
        loss = call.upkeep.loss()
        return [loss] if loss else []
    try:
        database.try_out()
    except EsquirellError as error:
        return [str(error)]
    return []


def _gone(processes: Sequence[Process]) -> Iterator[str]:
    for one in processes:
        if one.gone_s is not None:
            roles = ", ".join(one.roles)
            yield f"{roles} on {one.host} vanished {one.gone_s // 60} min ago, without a goodbye"


def _silent(call: Call, failures: Mapping[str, int]) -> Iterator[str]:
    names = [meter.name for meter in call.settings.meters]
    silent = [name for name in names if failures.get(name, 0) >= FAILURES_TO_OFFLINE]
    if silent:
        shown = ", ".join(silent[:5]) + (", …" if len(silent) > 5 else "")  # noqa: PLR2004 - a few
        yield f"{len(silent)} of {len(names)} meters do not answer: {shown}"


def _runs_here(call: Call) -> bool:
    from esquirell.cli import service  # noqa: PLC0415 - it takes long, and few need it

    return service.runs_here(call.runtime)
