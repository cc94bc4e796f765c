"""What is installed, what runs, and what to do next."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from esquirell.cli.systemd.layout import CONFIGURATION, Layout, for_root
from esquirell.cli.systemd.machine import ALL_IN_ONE, APART, UNITS, Machine
from esquirell.cli.systemd.releases import Releases

INIT = f"sudo esquirell init --output {CONFIGURATION}"


@dataclass(frozen=True, slots=True)
class State:
    """The state of the service on this machine; `units` by name, only existing ones."""

    current: str | None
    previous: str | None
    packaged: bool
    configured: bool
    units: Mapping[str, Mapping[str, str]]

    @property
    def installed(self) -> bool:
        """Return whether the service is installed."""
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
            yield "see how everything is doing: sudo esquirell doctor"

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
        _is_there(layout),
        {unit: facts for unit in UNITS if (facts := _facts(machine.show(unit)))},
    )


def _is_there(layout: Layout) -> bool:
    try:
        return layout.configuration.exists()
    except PermissionError:
        return True  # only that folder, which the installation creates, is closed to users


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
