"""`esquirell systemd install`, `uninstall` and `status`: what is there, what runs."""

import os
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from esquirell.cli.call import Call, Group, OneOf, pass_call
from esquirell.cli.output import in_terminal, print_json, print_table, say, warn
from esquirell.cli.systemd import environment, installing
from esquirell.cli.systemd.layout import CONFIGURATION, Layout, Releases, for_root
from esquirell.cli.systemd.machine import ALL_IN_ONE, APART, UNITS, Machine
from esquirell.domain.errors import ConfigError, EsquirellError
from esquirell.domain.record import record
from esquirell.settings import load
from esquirell.settings.files import SEARCHED, may_exist

_UNITS = {"all": ALL_IN_ONE, "apart": APART}
_ROOT = click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path("/"),
    help="Work on the system in this folder, such as a card's, instead of this one.",
)
INIT = f"sudo esquirell init --output {CONFIGURATION}"


@click.group("systemd", cls=Group)
def systemd() -> None:
    """Install, inspect or remove the service on this machine."""


@systemd.command("install")
@click.option(
    "--role",
    type=OneOf(list(_UNITS)),
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
    installing.uninstall(layout, Machine(layout), purge=purge, leave=leave)
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
        say(f"{len(found)} topics were cleared on the MQTT broker", err=True)


@systemd.command("status")
@pass_call
def status(call: Call) -> None:
    """Show what is installed, what runs, and what to do next."""
    _show(call, Layout())


def _show(call: Call, layout: Layout) -> None:
    found = look(layout, Machine(layout))
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


@record
class State:
    """The state of the service on this machine; `units` by name, only existing ones."""

    current: str | None
    previous: str | None
    packaged: bool
    configured: bool
    units: Mapping[str, Mapping[str, str]]

    @property
    def installed(self) -> bool:
        return self.packaged or self.current is not None

    def payload(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "installed": self.installed,
            "packaged": self.packaged,
            "current": self.current,
            "previous": self.previous,
            "configured": self.configured,
            "units": self.units,
            "next": list(self.next_steps()),
        }

    def next_steps(self) -> Iterator[str]:
        """Return what the user may want to do now."""
        if not self.installed:
            yield f"install it: {for_root('systemd', 'install')}"
        elif not self.configured:
            yield f"write a configuration: {INIT}"
            yield f"then start it: sudo systemctl start {self._chosen()}"
        elif not self._runs():
            yield f"start it: sudo systemctl enable --now {self._chosen()}"
            yield f"if it does not start: journalctl -u '{self._chosen().split('.')[0]}*' -n 30"
        else:
            # A file in this folder would be found first, and it is not the service's.
            nearer = any(file.exists() for file in SEARCHED[:-1])
            option = f" --config {SEARCHED[-1]}" if nearer else ""
            yield f"see how everything is doing: sudo esquirell{option} doctor"

    def _chosen(self) -> str:
        apart = self.units.get(APART, {}).get("enabled") == "enabled"
        return APART if apart else ALL_IN_ONE

    def _runs(self) -> bool:
        return self.units.get(self._chosen(), {}).get("active") == "active"


def look(layout: Layout, machine: Machine) -> State:
    """Inspect the machine. Raises EsquirellError without systemd."""
    releases = Releases(layout)
    return State(
        releases.current,
        releases.previous,
        layout.packaged.exists(),
        may_exist(layout.configuration),
        {unit: facts for unit in UNITS if (facts := _facts(machine.show(unit)))},
    )


def _facts(shown: Mapping[str, str]) -> dict[str, str]:
    if shown.get("LoadState") != "loaded":
        return {}
    active = shown.get("ActiveState", "")
    return {
        "enabled": shown.get("UnitFileState", ""),
        "active": active,
        # systemd keeps the last status text of an ended service.
        "status": shown.get("StatusText", "") if active == "active" else "",
        "restarts": shown.get("NRestarts", ""),
    }
