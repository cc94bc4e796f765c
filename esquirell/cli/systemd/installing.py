"""Installing the service, and removing it: each step can be repeated, and then changes nothing."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from esquirell.cli.systemd import environment
from esquirell.cli.systemd.layout import PROGRAM, STATE, Layout, Releases, remove
from esquirell.cli.systemd.machine import ALL_IN_ONE, APART, FLOWER, UNITS, Machine
from esquirell.domain.errors import ConfigError
from esquirell.domain.record import record
from esquirell.settings import load, private_files
from esquirell.settings.relocating import Relocated, relocate

OPEN, CLOSED = 0o644, 0o600

Tell = Callable[[str], None]


@record
class Installation:
    """What to install: a unit (None: as before) and a configuration to take over.

    `python` is what the virtual environment is created from.
    """

    unit: str | None
    configuration: Path | None
    python: Path


def install(installation: Installation, layout: Layout, machine: Machine, tell: Tell) -> None:
    """Install everything, and start it if it is configured.

    Raises ConfigError before anything was changed, EsquirellError when the machine refuses.
    """
    unit = installation.unit or present_unit(machine)
    _refuse_packaged(layout)
    moved = _take_over(installation, layout)
    _refuse_embedded_apart(unit, layout, installation.configuration)
    # The service's user must be able to read it all, whatever root's umask is.
    os.umask(0o022)
    _place_release(installation.python, layout, tell)
    _place_files(layout)
    if moved:
        _place_configuration(moved, layout)
        tell(
            f"{layout.configuration} is a copy of {installation.configuration}; "
            f"its secrets are files in {layout.credentials}"
        )
    elif installation.configuration:
        tell(f"{layout.configuration} exists already and is kept")
    machine.make_users_and_folders()
    machine.reload()
    choose(unit, machine)
    start(unit, layout, machine, tell)


def roll_back(layout: Layout, machine: Machine, tell: Tell) -> None:
    """Go back to the previous release and start it. Raises EsquirellError."""
    name = Releases(layout).roll_back()
    tell(f"{name} is the current release again")
    start(present_unit(machine), layout, machine, tell)


def present_unit(machine: Machine) -> str:
    """Return the unit that starts with the machine: all in one, unless the roles do."""
    return APART if machine.enabled(APART) else ALL_IN_ONE


def choose(unit: str, machine: Machine) -> None:
    """Make this unit start with the machine instead of the other one."""
    other = ALL_IN_ONE if unit == APART else APART
    machine.disable([other])
    machine.stop([other])
    machine.enable(unit)


def start(unit: str, layout: Layout, machine: Machine, tell: Tell) -> None:
    """Restart a unit, and Flower if it runs; without a configuration nothing starts.

    Raises ConfigError for an invalid configuration, EsquirellError when the start fails.
    """
    if layout.root != Path("/") or not layout.configuration.exists():
        return
    load(layout.configuration, {})
    machine.restart(unit)
    tell(f"{unit} runs")
    if machine.active(FLOWER) or machine.enabled(FLOWER):
        machine.restart(FLOWER)


def _refuse_packaged(layout: Layout) -> None:
    if layout.packaged.exists():
        raise ConfigError(
            "esquirell is installed from a Debian package: upgrade it with apt, or remove it first "
            "(sudo apt remove esquirell)"
        )


def _take_over(installation: Installation, layout: Layout) -> Relocated | None:
    if installation.configuration is None or layout.configuration.exists():
        return None
    return relocate(installation.configuration, STATE)


def _refuse_embedded_apart(unit: str, layout: Layout, configuration: Path | None) -> None:
    source = layout.configuration if layout.configuration.exists() else configuration
    if unit == APART and source and load(source, {}).redis.embedded:
        raise ConfigError(
            f'{source}: redis.url is "embedded", but separate roles need a shared one: set it '
            "to that of a server (sudo apt install redis-server)"
        )


def _place_release(python: Path, layout: Layout, tell: Tell) -> None:
    name = environment.release_name(environment.closure())
    folder = layout.releases / name
    if not environment.is_whole(folder):
        tell(f"building {folder} (a minute or two on a Pi)")
        environment.build(folder, python, layout)
    releases = Releases(layout)
    if releases.current != name:
        releases.use(name)
        tell(f"{name} is the current release")
    _link_command(layout)


def _link_command(layout: Layout) -> None:
    """Link the program into the PATH; a foreign file of that name is kept."""
    command = layout.command
    if not command.is_symlink() and not command.exists():
        command.parent.mkdir(parents=True, exist_ok=True)
        command.symlink_to(PROGRAM)


def _place_files(layout: Layout) -> None:
    for place, source in layout.shipped().items():
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, place)
        place.chmod(OPEN)
    layout.credentials.mkdir(mode=0o700, parents=True, exist_ok=True)


def _place_configuration(moved: Relocated, layout: Layout) -> None:
    """Write the secrets first: without them the configuration would be invalid."""
    folder = layout.configuration.parent
    for name, source in moved.files.items():
        shutil.copyfile(source, folder / name)
        (folder / name).chmod(CLOSED)
    secrets = {layout.credentials / name: f"{text}\n" for name, text in moved.secrets.items()}
    new = {path: text for path, text in secrets.items() if not path.exists()}
    private_files.write(new | {layout.configuration: moved.text})


def uninstall(
    layout: Layout, machine: Machine, *, purge: bool, leave: Callable[[], None] = lambda: None
) -> None:
    """Stop the service and remove it; with `purge` also configuration, data and user.

    `leave` is called after it has stopped and before anything is removed.
    """
    machine.stop(UNITS)
    machine.disable(UNITS)
    leave()
    for place in layout.shipped():
        place.unlink(missing_ok=True)
    if layout.command.is_symlink() and layout.command.readlink() == PROGRAM:
        layout.command.unlink()
    machine.reload()
    if purge:
        remove(layout.configuration.parent)
        remove(layout.state)
        machine.remove_user()
    # Last, as this program may run from there.
    remove(layout.releases)
