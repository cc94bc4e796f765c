"""Removing the service; configuration and data stay unless they are purged."""

from collections.abc import Callable

from esquirell.cli.systemd.layout import PROGRAM, Layout
from esquirell.cli.systemd.machine import UNITS, Machine
from esquirell.cli.systemd.releases import remove


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
