"""The demo's two views: live in a terminal, else a plain line every few seconds."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Self

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from esquirell.demo.state import DemoState, Facts, Planned, clock
from esquirell.demo.watch import TimedMessage
from esquirell.domain.numbers import finite
from esquirell.domain.quantity import PHASES, QUANTITIES, split_key
from esquirell.domain.visible import visible

# With many meters, this many lines are left for messages.
LEAST_MESSAGES = 3
State = Mapping[str, Any]

SHOWN = ("active_power", "voltage", "current", "energy_import", "energy_export")
ABSENT = "·"
# The columns of several meters, from left to right, and what they show.
_VOLTAGE = "voltage, V"
_PHASED = {f"{phase.upper()}, W": f"active_power_{phase}" for phase in PHASES}
_COMPACT = _PHASED | {
    "total, W": "active_power",
    _VOLTAGE: "voltage",
    "import, kWh": "energy_import",
    "export, kWh": "energy_export",
}
_LEAST_WANTED = ((_VOLTAGE,), tuple(_PHASED), ("export, kWh",), ("import, kWh",))
_UNLIMITED = 1000


class Screen:
    """Fills the terminal while the demo runs, and restores it afterwards."""

    pause_s = 0.5

    def __init__(self, facts: Facts, console: Console) -> None:
        self._facts = facts
        self._console = console
        self._live = Live(console=console, screen=True, auto_refresh=False)

    def show(self, state: DemoState) -> None:
        self._live.update(self.picture(state), refresh=True)

    def __enter__(self) -> Self:
        """Take over the terminal."""
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Restore the terminal."""
        self._live.stop()

    def picture(self, state: DemoState) -> Group:
        above, progress, below = self._head(state), list(_progress(state)), list(self._hints())
        room = self._console.height - self._height([above, *progress, *below])
        table = readings(
            state.sight.states, self._facts.meters, room - LEAST_MESSAGES, self._console
        )
        last = messages(state.sight.last, room - self._height([table]))
        return Group(above, table, *progress, *last, *below)

    def _head(self, state: DemoState) -> RenderableType:
        seconds = self._facts.plan.seconds
        running = clock(state.elapsed_s) + (f" of {clock(seconds)}" if seconds else "")
        left = Text.assemble(("esquirell demo", "bold"), f"  {self._facts.title}")
        return Group(two_ends(left, Text(running)), Text(self._facts.pace, "dim"))

    def _hints(self) -> Iterable[RenderableType]:
        facts = self._facts
        page = facts.servers.page
        yield Text()
        yield rule("the page")
        yield Text.assemble((page.address, "cyan"), "  password ", (page.password, "bold"))
        yield rule(facts.advice)
        for command in facts.commands:
            yield Text(command, "cyan", overflow="fold")
        yield Text(f"broker {facts.broker}, Redis {facts.redis}", "dim")
        yield Text("Ctrl-C ends the demo and removes everything", "dim")

    def _height(self, parts: Sequence[RenderableType]) -> int:
        return len(self._console.render_lines(Group(*parts), pad=False))


def _progress(state: DemoState) -> Iterable[RenderableType]:
    begun = state.sight.readings > 0
    rows = [_planned(schedule) for schedule in state.schedules]
    yield Text()
    yield rule("schedules")
    yield two_ends(
        rows[0] if rows else Text("none" if begun else "the service is starting"),
        Text(str(state.tally) if begun else "", "bold"),
    )
    yield from rows[1:]
    yield rule(f"messages: {state.sight.messages}")


def _planned(planned: Planned) -> Text:
    schedule = planned.schedule
    rule = f"every {schedule.every} s" if schedule.every else f"at {schedule.cron}"
    due = "disabled" if planned.next_s is None else f"next run in {math.ceil(planned.next_s)} s"
    return Text(f"{schedule.name}: {rule}, {due}")


def messages(last: Sequence[TimedMessage], count: int) -> Iterable[Text]:
    """Show the last messages, one per line."""
    shown = last[-count:] if count > 0 else ()
    for heard in shown:
        line = Text(f"{heard.at:%H:%M:%S} ", no_wrap=True, overflow="ellipsis")
        payload = visible(" ".join(heard.payload.split()))
        yield line.append(visible(heard.topic), "cyan").append(f" {payload}", "dim")
    yield from [Text()] * (count - len(shown))


def rule(title: str) -> Rule:
    """Draw a line with a title."""
    return Rule(title, align="left", style="dim")


def two_ends(left: Text, right: Text) -> Table:
    """Put one text at each end of a line."""
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(no_wrap=True, ratio=1)
    grid.add_column(no_wrap=True, justify="right")
    grid.add_row(left, right)
    return grid


class Lines:
    """Prints what runs where, then the progress."""

    pause_s = 5.0

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def show(self, state: DemoState) -> None:
        now = datetime.now(UTC).astimezone()
        states = state.sight.states
        meters = "; ".join(
            _words(name, states[name]) for name in self._facts.meters if name in states
        )
        news = f"{state.tally}; {meters}" if meters else "the service is starting"
        click.echo(f"{now:%H:%M:%S}  {news}")

    def __enter__(self) -> Self:
        """Print what runs where."""
        facts = self._facts
        click.echo(
            f"{facts.title}: {', '.join(facts.meters)}\n"
            f"{facts.pace}\n"
            f"MQTT broker: {facts.broker}\n"
            f"Redis: {facts.redis}, on a socket of its own\n"
            f"Database: {facts.home.database}\n"
            f"Page: {facts.servers.page.address} with the password {facts.servers.page.password}\n"
            f"To {facts.advice}:"
        )
        for command in facts.commands:
            click.echo(f"  {command}")
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to restore."""


def _words(meter: str, state: Mapping[str, Any]) -> str:
    phases = ", ".join(
        f"{phase.upper()} {figure(state, f'active_power_{phase}')}" for phase in "abc"
    )
    return f"{meter} {figure(state, 'active_power')} W ({phases})"


def figure(state: State, key: str) -> str:
    """Return a value without its unit; a dash for what the meter did not send."""
    value = finite(state.get(key))
    if value is None:
        return ABSENT
    return f"{value:.{split_key(key)[0].precision}f}"


def readings(
    states: Mapping[str, State], meters: Sequence[str], lines: int, console: Console
) -> Table:
    """Return the table: one meter in detail, several in one line each, at most `lines`.

    No name and no number is broken: what does not fit is left out, the least wanted first.
    """
    if len(meters) == 1:
        return _fitting(_detailed(meters[0], states.get(meters[0], {})), console)
    if len(meters) < lines:
        return _fitting(_compact(states, meters), console)
    shown = meters[: max(lines - 2, 1)]
    table = _fitting(_compact(states, shown), console)
    table.add_row(Text(f"+ {len(meters) - len(shown)} more", "dim"))
    return table


def _fitting(tables: Iterable[Table], console: Console) -> Table:
    """Return the first that is not wider than the terminal, else the last."""
    unlimited = console.options.update(max_width=_UNLIMITED)
    for table in tables:
        if console.measure(table, options=unlimited).maximum <= console.width:
            break
    return table


def _detailed(meter: str, state: State) -> Iterator[Table]:
    phases = [name for name in PHASES if any(_known(state, f"{key}_{name}") for key in SHOWN)]
    for shown, width in ((phases, 12), (phases, 0), ((), 0)):
        table = _table(meter)
        for head in (*(f"phase {phase.upper()}" for phase in shown), "total"):
            table.add_column(head, justify="right", min_width=width, no_wrap=True)
        table.add_column(style="dim")
        for name in SHOWN:
            keys = (*(f"{name}_{phase}" for phase in shown), name)
            quantity = QUANTITIES[name]
            table.add_row(quantity.label, *_cells(state, *keys), quantity.unit)
        yield table


def _compact(states: Mapping[str, State], meters: Sequence[str]) -> Iterator[Table]:
    for dropped in range(len(_LEAST_WANTED) + 1):
        without = [head for group in _LEAST_WANTED[:dropped] for head in group]
        heads = [head for head in _COMPACT if head not in without]
        table = _table("")
        for head in heads:
            table.add_column(head, justify="right", min_width=5, no_wrap=True)
        for meter in meters:
            state = states.get(meter, {})
            table.add_row(meter, *(_cell(state, head) for head in heads))
        yield table


def _cell(state: State, head: str) -> Text:
    return Text(_voltages(state)) if head == _VOLTAGE else _cells(state, _COMPACT[head])[0]


def _table(first: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(first, no_wrap=True, header_style="bold", style="bold")
    return table


def _cells(state: State, *keys: str) -> list[Text]:
    """Show exported power in green."""
    figures = (figure(state, key) for key in keys)
    return [Text(text, "green" if text.startswith("-") else "") for text in figures]


def _voltages(state: State) -> str:
    """Return the voltage of each phase, or the only one, in whole volts."""
    phases = [key for phase in PHASES if _known(state, key := f"voltage_{phase}")]
    return " ".join(figure(state, key).partition(".")[0] for key in phases or ["voltage"])


def _known(state: State, key: str) -> bool:
    return finite(state.get(key)) is not None
