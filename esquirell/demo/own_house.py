"""The live screen of your own house: what the service publishes, shown as in the demo."""

import sys
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from esquirell.daemon.signals import Flag
from esquirell.demo.state import clock
from esquirell.demo.views import LEAST_MESSAGES, figure, messages, readings, rule, two_ends
from esquirell.demo.watch import Watch, WatchState
from esquirell.domain.record import record

PAUSE_S = 0.5
PLAIN_PAUSE_S = 5.0


@record
class House:
    """The meters, by the names that people use, and the source of their messages."""

    meters: Sequence[str]
    broker: str


def show(house: House, watch: Watch, stopped: Flag, seconds: int | None) -> None:
    """Show what happens until the user stops it or the time is over."""
    console = Console()
    if sys.stdout.isatty() and not console.is_dumb_terminal:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            for elapsed_s in _moments(stopped, seconds, PAUSE_S):
                live.update(picture(house, watch.sight(), elapsed_s, console), refresh=True)
        return
    for _ in _moments(stopped, seconds, PLAIN_PAUSE_S):
        click.echo(line(house, watch.sight()))


def picture(house: House, sight: WatchState, elapsed_s: float, console: Console) -> Group:
    """Draw one moment."""
    title = Text.assemble(("esquirell watch", "bold"), f"  {house.broker}")
    head: list[RenderableType] = [two_ends(title, Text(clock(elapsed_s))), Text()]
    below: list[RenderableType] = [
        Text(),
        Text("Ctrl-C ends this screen; the service continues", "dim"),
    ]
    table = readings(sight.states, house.meters, console.height - LEAST_MESSAGES - 6, console)
    middle: list[RenderableType] = [
        table,
        *_silent(house, sight),
        Text(),
        rule(f"messages: {sight.messages}"),
    ]
    room = console.height - len(console.render_lines(Group(*[*head, *middle, *below]), pad=False))
    return Group(*head, *middle, *messages(sight.last, room), *below)


def line(house: House, sight: WatchState) -> str:
    """Write one moment in one line."""
    now = datetime.now(UTC).astimezone()
    powers = [
        f"{name} {figure(sight.states[name], 'active_power')} W"
        for name in house.meters
        if name in sight.states
    ]
    return f"{now:%H:%M:%S}  {'; '.join(powers) or 'nothing published yet'}"


def _silent(house: House, sight: WatchState) -> Iterable[Text]:
    silent = [name for name in house.meters if name not in sight.states]
    if silent:
        yield Text(f"nothing yet from {', '.join(silent)}", "dim")


def _moments(stopped: Flag, seconds: int | None, pause_s: float) -> Iterable[float]:
    began = time.monotonic()
    while not stopped.is_set():
        elapsed_s = time.monotonic() - began
        yield elapsed_s
        if seconds is not None and elapsed_s >= seconds:
            return
        stopped.wait(pause_s if seconds is None else min(pause_s, seconds))
