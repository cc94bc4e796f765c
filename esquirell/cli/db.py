"""`esquirell db`: maintenance of the database."""

from collections.abc import Mapping
from pathlib import Path

import click

from esquirell.cli.archive import nothing_running
from esquirell.cli.call import Call, Group, pass_call
from esquirell.cli.corrections import readings
from esquirell.cli.moments import moment_of
from esquirell.cli.output import Progress, complain, print_json, say, working
from esquirell.domain.errors import ConfigError
from esquirell.domain.reading import iso
from esquirell.settings.private_files import make_directory
from esquirell.settings.urls import check_database, join_password, split_password

_FILE = click.Path(dir_okay=False, path_type=Path)
_BACKUP = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


@click.group("db", cls=Group)
def db() -> None:
    """Upgrade, check, back up and prune the database."""


@db.command("upgrade")
@click.option("--afresh", is_flag=True, help="Start with an empty database if it is missing.")
@pass_call
def upgrade(call: Call, *, afresh: bool) -> None:
    """Bring the tables up to this version.

    Every start of the service does that as well. If a database that existed is missing, that is an
    error: its disk may not be mounted.
    """
    make_directory(call.settings.state_dir)
    with working("Bringing the tables up to this version"):
        call.upkeep.upgrade(afresh=afresh)
    database, revision = call.upkeep.database.describe(), call.upkeep.revision
    done = {"database": database, "revision": revision}
    _report(call, done, f"The tables of {database} are up to date ({revision}).")


@db.command("check")
@pass_call
def check(call: Call) -> int:
    """Look for damage in the database; exit with 1 if there is any."""
    with working("Looking for damage"):
        problems = call.upkeep.problems()
    if call.json:
        print_json({"ok": not problems, "problems": problems})
    for problem in problems:
        complain(problem)
    if not problems and not call.json:
        say(f"The database {call.upkeep.database.describe()} is sound.")
    return 1 if problems else 0


@db.command("backup")
@click.argument("file", type=_FILE)
@pass_call
def backup(call: Call, file: Path) -> None:
    """Copy the database alone into a new FILE, also while the service runs.

    `esquirell backup` writes everything, including meters that were added and the page's password.
    """
    with working("Copying the database"):
        call.upkeep.backup(file)
    size = file.stat().st_size
    done = {"database": call.upkeep.database.describe(), "file": str(file), "bytes": size}
    _report(call, done, f"{file} holds a copy of {call.upkeep.database.describe()}: {size} bytes.")


@db.command("restore")
@click.argument("file", type=_BACKUP)
@pass_call
def restore(call: Call, file: Path) -> None:
    """Replace the database by a backup.

    What was there before is kept aside. Refused while a service runs.
    """
    make_directory(call.settings.state_dir)
    with nothing_running(call), working("Restoring the database"):
        replaced = call.upkeep.restore(file)
    aside = str(replaced) if replaced else None
    done = {"database": call.upkeep.database.describe(), "file": str(file), "replaced": aside}
    kept = f" What was there before is now in {aside}." if aside else ""
    _report(call, done, f"{call.upkeep.database.describe()} is what {file} holds.{kept}")


@db.command("move")
@click.argument("url")
@click.option(
    "--password-file", type=_BACKUP, help="A file that contains the password for the URL."
)
@pass_call
def move(call: Call, url: str, password_file: Path | None) -> None:
    """Copy everything into an empty database, such as from SQLite to PostgreSQL.

    Refused while a service runs. The current database stays unchanged and in use until you change
    database.url.
    """
    make_directory(call.settings.state_dir)
    target = _target(url, password_file)
    with (
        nothing_running(call),
        Progress() as progress,
    ):
        moved_to, counts = call.upkeep.move(target, progress.show)
    done = {"from": call.upkeep.database.describe(), "to": moved_to, "rows": counts}
    sentence = (
        f"{moved_to} holds all {sum(counts.values())} rows of "
        f"{call.upkeep.database.describe()}. Now set database.url to it."
    )
    _report(call, done, sentence)


def _target(url: str, password_file: Path | None) -> str:
    """Return the URL with its password. Raises ConfigError."""
    address, password = split_password(url)
    try:
        address = check_database(address)
    except ValueError as error:
        raise ConfigError(f"URL {error}") from error
    if password_file is not None:
        password = password_file.read_text(encoding="utf-8").strip()
    return join_password(address, password or "")


@db.command("rollup")
@click.option(
    "--since", metavar="TIME", help="Recalculate everything from this time on: 7d, 2026-11-22, …"
)
@pass_call
def rollup(call: Call, since: str | None) -> None:
    """Bring the statistics by hour, day and month up to date.

    The service does that by itself; hours whose raw readings were pruned stay as they are.
    """
    begin = moment_of("--since", since, call.settings.timezone) if since else None
    _upgraded(call)
    with working("Updating the statistics"):
        looked_at = call.storage.statistics.rollup(begin)
    if begin is not None:
        call.record("db/rollup", {"since": iso(begin)})
    total = sum(looked_at.values())
    _report(
        call,
        {"readings": looked_at},
        f"The statistics are up to date: {total} reading{'s' * (total != 1)}.",
    )


@db.command("prune")
@pass_call
def prune(call: Call) -> None:
    """Remove raw readings older than database.raw_retention.

    The first and last of each hour remain, and whatever is not in the statistics yet; the service
    does that by itself once a day.
    """
    _upgraded(call)
    with working("Removing old readings"):
        call.storage.statistics.rollup()
        removed = call.upkeep.retention.prune()
    sentence = "No raw readings had to be removed."
    if total := sum(removed.values()):
        sentence = (
            f"{total} raw readings were removed. Their space is reused for new ones; only "
            f"{call.upkeep.gives_space_back_by} gives it back to the disk."
        )
    _report(call, {"removed": removed}, sentence)


db.add_command(readings)


def _upgraded(call: Call) -> None:
    make_directory(call.settings.state_dir)
    call.upkeep.upgrade()


def _report(call: Call, done: Mapping[str, object], sentence: str) -> None:
    if call.json:
        print_json(done)
    else:
        say(sentence)
