"""`esquirell health`: for container and systemd checks, and for people."""

import socket
from collections.abc import Iterator, Mapping, Sequence

import click

from esquirell.cli.call import Call, Command, OneOf, pass_call
from esquirell.cli.output import print_json, say
from esquirell.domain.errors import EsquirellError, UnavailableError
from esquirell.domain.process import Process
from esquirell.domain.reading import FAILURES_TO_OFFLINE
from esquirell.runtime.liveness import failures_of_meters
from esquirell.services.health import ROLES, absent

NOTHING_RUNS = "nothing runs on this machine: start esquirell run"
STARTING = "esquirell run is alive, but has not begun to work: its log says what it waits for"
ERASED = (
    "esquirell run is alive, but its entries in Redis are gone: another program deletes them "
    "(FLUSHALL), or Redis does (maxmemory-policy must be noeviction); give it a Redis of its own"
)
SILENT = (
    "esquirell run is alive, but has reported nothing for {silent_s} s: it was stopped (SIGSTOP), "
    "hangs, or waits at its start; its log says what for, else restart it"
)


@click.command("health", cls=Command)
@click.argument("role", type=OneOf((*ROLES, "web", "flower")), required=False)
@click.option("--here", is_flag=True, help="ROLE must work on this machine, or in this container.")
@pass_call
def health(call: Call, role: str | None, *, here: bool) -> None:
    """Exit with 0 only if ROLE works, wherever it is; without ROLE, all that run on this machine.

    What keeps it from working is reported in the words of Redis, the broker or the database. Meters
    that do not answer are reported as well, but are no reason to exit with 1.
    """
    if call.json:
        print_json(call.runtime.health.report())
    processes, problems = _processes(call)
    ours = _concerned(processes, role, anywhere=role is not None and not here)
    if not problems:
        problems += _problems_of(ours, role) if ours or role else _none_reports(call, processes)
        problems += _lost(processes) if ours and not role else []
    failures = failures_of_meters(call.settings)
    if failures is None:
        problems += _problems_of_database(call, runs=bool(ours))
    if problems:
        raise EsquirellError("; ".join(_unrepeated(problems)))
    if not call.json:
        names = dict.fromkeys(name.partition("@")[0] for process in ours for name in process.roles)
        say(f"{', '.join([role] if role else names)}: working")
        slow = [call.presence.slow] if call.presence.slow else []
        for note in (*slow, *_gone(processes), *_silent(call, failures or {})):
            say(note)


def _unrepeated(sentences: Sequence[str]) -> list[str]:
    """Return sentences without those that are part of others."""
    unique = dict.fromkeys(sentences)
    return [
        sentence
        for sentence in unique
        if not any(sentence in other for other in unique if other != sentence)
    ]


def _processes(call: Call) -> tuple[Sequence[Process], list[str]]:
    """Return the processes, and why they are unknown where Redis does not serve us."""
    try:
        # A Redis that refuses is no better than one that is missing.
        return call.presence.processes(), []
    except UnavailableError as error:
        if call.settings.redis.embedded and not _runs_here(call):
            return (), [_nothing_runs(call)]  # it would be the service's
        return (), [str(error)]


def _nothing_runs(call: Call) -> str:
    """Report that nothing runs; a running service is found through the state directory."""
    folder = call.settings.state_dir
    return NOTHING_RUNS if folder.is_dir() else f"there is no {folder}, and {NOTHING_RUNS}"


def _concerned(processes: Sequence[Process], role: str | None, *, anywhere: bool) -> list[Process]:
    """Return the living processes that the question is about."""
    living = [process for process in processes if process.alive]
    if anywhere:
        return [process for process in living if role in process.roles]
    here = [process for process in living if process.host == socket.gethostname()]
    return [process for process in here if role is None or process.has(role)]


def _problems_of(processes: Sequence[Process], role: str | None) -> list[str]:
    if not processes and role:
        return [absent(role)]
    return [problem for process in processes for problem in process.problems]


def _none_reports(call: Call, processes: Sequence[Process]) -> list[str]:
    """Return why no process of this machine reports anything."""
    from esquirell.cli import service  # noqa: PLC0415 - it takes long, and few need it

    if not service.runs_here(call.runtime):
        return [NOTHING_RUNS, *_lost(processes)]
    other = ERASED if service.has_begun(call.runtime) else STARTING
    return [silence(processes) or other]


def silence(processes: Sequence[Process]) -> str | None:
    """Return for how long a running service of this machine has reported nothing, if it ever did.

    `processes` are all that Redis knows of.
    """
    silent_s = [process.gone_s for process in _vanished(processes) if process.gone_s is not None]
    return SILENT.format(silent_s=min(silent_s)) if silent_s else None


def _lost(processes: Sequence[Process]) -> list[str]:
    """Name the roles of processes that vanished on this machine, unless another has them now."""
    living = {name for process in processes if process.alive for name in process.roles}
    lost = [name for one in _vanished(processes) for name in one.roles if name not in living]
    return [absent(name) for name in lost if name.partition("@")[0] in ROLES]


def _vanished(processes: Sequence[Process]) -> list[Process]:
    """Return the processes of this machine that are not heard of any more."""
    return [
        process
        for process in processes
        if not process.alive and process.host == socket.gethostname()
    ]


def _problems_of_database(call: Call, *, runs: bool) -> list[str]:
    """Return what is wrong with the database; where nothing runs it may not exist yet."""
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
    for process in processes:
        if process.gone_s is not None:
            roles = ", ".join(process.roles)
            yield f"{roles} on {process.host} disappeared {process.gone_s // 60} min ago"


def _silent(call: Call, failures: Mapping[str, int]) -> Iterator[str]:
    names = [meter.name for meter in call.settings.meters]
    silent = [name for name in names if failures.get(name, 0) >= FAILURES_TO_OFFLINE]
    if silent:
        shown = ", ".join(silent[:5]) + (", …" if len(silent) > 5 else "")  # noqa: PLR2004 - a few
        yield f"{len(silent)} of {len(names)} meters do not answer: {shown}"


def _runs_here(call: Call) -> bool:
    from esquirell.cli import service  # noqa: PLC0415 - it takes long, and few need it

    return service.runs_here(call.runtime)
