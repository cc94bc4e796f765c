"""`esquirell systemd install`, `uninstall` and `status`."""

import os
import sys
from functools import partial
from pathlib import Path

import click

from esquirell.cli.call import Call, Group, pass_call
from esquirell.cli.output import in_terminal, print_json, print_table, say, warn
from esquirell.cli.systemd import environment, installing, removing, state
from esquirell.cli.systemd.layout import Layout, for_root
from esquirell.cli.systemd.machine import ALL_IN_ONE, APART, Machine
from esquirell.domain.errors import ConfigError, EsquirellError
from esquirell.settings import load

_UNITS = {"all": ALL_IN_ONE, "apart": APART}
_ROOT = click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path("/"),
    help="Prepare the system in this folder, such as a card's, instead of this one.",
)


@click.group("systemd", cls=Group)
def systemd() -> None:
    """Install, inspect or remove the service on this machine."""


@systemd.command("install")
@click.option(
    "--role",
    type=click.Choice(list(_UNITS)),
    help="All roles in one process, or one process each. [default: as installed, else all]",
)
@click.option("--rollback", is_flag=True, help="Go back to the previous release.")
@_ROOT
@pass_call
def install(call: Call, role: str | None, root: Path, rollback: bool) -> None:
    """Install program, user, units and configuration.

    As root, by the full path of this program; the configuration is that of --config FILE, if given.
    It installs what is installed here and keeps the previous release. Starts nothing that is not
    configured.
    """
    _need_root(root)
    layout = Layout(root.absolute())
    machine = Machine(layout)
    tell = _quiet if call.json else click.echo
    if rollback:
        installing.roll_back(layout, machine, tell)
    else:
        unit = _UNITS[role] if role else None
        installation = installing.Installation(unit, call.config, environment.base_python())
        installing.install(installation, layout, machine, tell)
    if root == Path("/"):
        _show(call, layout)


@systemd.command("uninstall")
@click.option("--purge", is_flag=True, help="Remove configuration, data and user as well.")
@click.option(
    "--mqtt/--no-mqtt",
    default=None,
    help="Remove its devices from the MQTT broker and Home Assistant as well. [default: ask]",
)
@_ROOT
@pass_call
def uninstall(call: Call, root: Path, purge: bool, mqtt: bool | None) -> None:
    """Stop and remove the service; configuration and data stay."""
    _need_root(root)
    layout = Layout(root.absolute())
    if mqtt is None:
        question = "Remove its devices from the MQTT broker and Home Assistant as well?"
        mqtt = in_terminal() and not call.json and click.confirm(question, default=purge)
    leave = partial(_leave_broker, layout) if mqtt else lambda: None
    removing.uninstall(layout, Machine(layout), purge=purge, leave=leave)
    kept = [] if purge else [str(layout.configuration.parent), str(layout.state)]
    if call.json:
        print_json({"kept": kept})
    else:
        say(f"The service is removed{'; kept: ' + ', '.join(kept) if kept else ''}.")


def _leave_broker(layout: Layout) -> None:
    """Clear what the service has published; a failure must not stop the removal."""
    from esquirell.runtime.mqtt import leave_broker  # noqa: PLC0415 - it loads paho

    try:
        found = leave_broker(load(layout.configuration))
    except EsquirellError as error:
        warn(f"nothing is cleared on the MQTT broker: {error}")
    else:
        say(f"{len(found)} topics are cleared on the MQTT broker", err=True)


@systemd.command("status")
@pass_call
def status(call: Call) -> None:
    """Show what is installed, what runs, and what to do next."""
    _show(call, Layout())


def _show(call: Call, layout: Layout) -> None:
    found = state.look(layout, Machine(layout))
    if call.json:
        print_json(found.payload())
        return
    release = "Debian's package" if found.packaged else found.current or "none"
    before = f"; previous: {found.previous}" if found.previous else ""
    say(f"release: {release}{before}")
    say(f"configuration: {layout.configuration if found.configured else 'none'}")
    rows = [(name, *facts.values()) for name, facts in found.units.items()]
    if rows:
        print_table(("unit", "enabled", "active", "status", "restarts"), rows)
    for step in found.next_steps():
        say(f"next: {step}")


def _need_root(root: Path) -> None:
    if root == Path("/") and os.geteuid() != 0:
        raise ConfigError(f"only root may do this: {for_root(*sys.argv[1:])}")


def _quiet(_: str) -> None:
    """Print nothing: only the data were requested."""
