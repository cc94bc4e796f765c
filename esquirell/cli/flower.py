"""`esquirell flower`: the web page that shows tasks and workers."""

import os
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import click

from esquirell.cli.call import Call, Command, pass_call
from esquirell.cli.output import say
from esquirell.cli.run import start
from esquirell.daemon.announcing import announcing
from esquirell.daemon.restarting import RENEWAL
from esquirell.domain.errors import ConfigError
from esquirell.domain.extras import install_command
from esquirell.settings.private_files import make_directory
from esquirell.tasks import load_own_tasks

if TYPE_CHECKING:
    from esquirell.flower.access import Credentials


@click.command("flower", cls=Command)
@pass_call
def flower(call: Call) -> int:
    """Show tasks and workers on a web page, with a password; needs the extra `flower`."""
    check_installed("flower")
    runtime = start(call)
    from esquirell.flower.access import credentials  # noqa: PLC0415 - it may not be installed
    from esquirell.flower.server import serve  # noqa: PLC0415 - the same

    settings = runtime.settings
    make_directory(settings.state_dir)
    load_own_tasks(settings)
    who = credentials(settings)
    _show(who)
    with announcing(runtime, "flower") as announce:
        serve(runtime.app, settings, who, announce)
    return RENEWAL.code(0)


def check_installed(distribution: str) -> None:
    """Raise ConfigError unless the package that provides the page is installed."""
    try:
        version(distribution)
    except PackageNotFoundError:
        raise ConfigError(f"Flower is not installed: {install_command('flower')}") from None


def _show(who: "Credentials") -> None:
    """Show a newly generated password, only once; but not to the journal, which keeps it."""
    if who.made_up is None:
        return
    if os.environ.get("JOURNAL_STREAM"):
        say(f"a password for Flower's user {who.user} was generated: see {who.made_up}")
        return
    say(
        f"Flower's user: {who.user}\nIts password: {who.password}\n"
        f"It is shown only once, and kept in {who.made_up}."
    )
