"""Readings as text, and as tables in a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from esquirell.domain.quantity import PHASES, QUANTITIES, split_key

State = Mapping[str, Any]

SHOWN = ("active_power", "voltage", "current", "energy_import", "energy_export")


ABSENT = "·"


def figure(state: State, key: str) -> str:
    """Return a value without its unit; a dash for what the meter did not send."""
    value = state.get(key)
    if not isinstance(value, int | float):
        return ABSENT
    return f"{value:.{split_key(key)[0].precision}f}"


def readings(states: Mapping[str, State], meters: Sequence[str], lines: int) -> Table:
    """Return the table: one meter in detail, several in one line each, at most `lines`."""
    if len(meters) == 1:
        return _detailed(meters[0], states.get(meters[0], {}))
    if len(meters) < lines:
        return _compact(states, meters)
    shown = meters[: max(lines - 2, 1)]
    table = _compact(states, shown)
    table.add_row(Text(f"+ {len(meters) - len(shown)} more", "dim"))
    return table


def _detailed(meter: str, state: State) -> Table:
    table = _table(meter)
    for head in (*(f"phase {phase.upper()}" for phase in PHASES), "total"):
        table.add_column(head, justify="right", min_width=12, no_wrap=True)
    table.add_column(style="dim")
    for name in SHOWN:
        quantity = QUANTITIES[name]
        table.add_row(quantity.label, *_cells(state, *_by_phase(name), name), quantity.unit)
    return table


def _compact(states: Mapping[str, State], meters: Sequence[str]) -> Table:
    table = _table("")
    heads = (*(f"{phase.upper()}, W" for phase in PHASES), "total, W")
    for head in (*heads, "voltage, V", "import, kWh", "export, kWh"):
        table.add_column(head, justify="right", min_width=5, no_wrap=True)
    for meter in meters:
        state = states.get(meter, {})
        powers = _cells(state, *_by_phase("active_power"), "active_power")
        energies = _cells(state, "energy_import", "energy_export")
        table.add_row(meter, *powers, _voltages(state), *energies)
    return table


def _table(first: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(first, no_wrap=True, header_style="bold", style="bold")
    return table


def _by_phase(name: str) -> list[str]:
    return [f"{name}_{phase}" for phase in PHASES]


def _cells(state: State, *keys: str) -> list[Text]:
    """Show exported power in green."""
    figures = (figure(state, key) for key in keys)
    return [Text(text, "green" if text.startswith("-") else "") for text in figures]


def _voltages(state: State) -> str:
    return " ".join(figure(state, key).partition(".")[0] for key in _by_phase("voltage"))
