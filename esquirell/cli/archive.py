"""`esquirell backup` and `restore`: everything of ours on this machine, in one file."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from esquirell.cli.call import Call, Command, pass_call
from esquirell.cli.output import print_json, say, warn, working
from esquirell.daemon.lock import AlreadyRunningError, RunLock, lock_of
from esquirell.domain.errors import EsquirellError, UnavailableError
from esquirell.settings.private_files import make_directory
from esquirell.settings.state_files import SPOOL

if TYPE_CHECKING:
    from esquirell.runtime.machine_backup import MachineBackup

_FILE = click.Path(dir_okay=False, path_type=Path)
_BACKUP = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


@click.command("backup", cls=Command)
@click.argument("file", type=_FILE)
@pass_call
def backup(call: Call, file: Path) -> None:
    """Write everything of ours on this machine into a new FILE, also while the service runs.

    That is the database, the meters that were added, the page's password and tokens, and readings
    waiting for the database. The configuration file is yours and not included.
    """
    with working("Writing the backup"):
        done = _machine(call).write(file)
    for problem in done["left_out"]:
        warn(problem)
    if call.json:
        print_json(done)
        return
    say(f"{file} holds {_said(done)}: {done['bytes']} bytes. It contains keys: keep it safe.")


@click.command("restore", cls=Command)
@click.argument("file", type=_BACKUP)
@pass_call
def restore(call: Call, file: Path) -> None:
    """Restore what `backup` wrote.

    Refused while a service runs. What was there before is kept aside.
    """
    make_directory(call.settings.state_dir)
    with nothing_running(call), working("Restoring the backup"):
        done = _machine(call).restore(file)
    if call.json:
        print_json(done)
        return
    say(f"Restored from {done['created_at']}: {_said(done)}.")
    if done["replaced"]:
        say(f"What was there before is now in {', '.join(done['replaced'])}.")


@contextmanager
def nothing_running(call: Call) -> Iterator[None]:
    """Make sure that no service uses the database, and that none starts meanwhile.

    Raises EsquirellError when one does.
    """
    lock = RunLock(lock_of(call.settings))
    try:
        lock.take()
    except AlreadyRunningError as error:
        raise EsquirellError("esquirell run uses the database: stop it first") from error
    try:
        if roles := _roles(call):
            raise EsquirellError(f"esquirell {roles[0]} uses the database: stop it first")
        yield
    finally:
        lock.release()


def _roles(call: Call) -> list[str]:
    """Return the roles that are alive, also on other machines; without Redis none can work."""
    try:
        return list(call.runtime.shared.presence.roles())
    except UnavailableError:
        return []


def _machine(call: Call) -> "MachineBackup":
    from esquirell.runtime.machine_backup import MachineBackup  # noqa: PLC0415 - --help is quick

    return MachineBackup(call.settings, call.upkeep)


def _said(done: Mapping[str, Any]) -> str:
    """Describe the contents of an archive."""
    holds = done["holds"]
    meters = sum(name.startswith("meters/") for name in holds)
    said = ["the database"]
    if meters:
        said.append("1 meter" if meters == 1 else f"{meters} meters")
    if any(name.startswith("web-") for name in holds):
        said.append("the page's password and tokens")
    if SPOOL in holds:
        said.append("readings that wait")
    return " and ".join(filter(None, (", ".join(said[:-1]), said[-1])))
