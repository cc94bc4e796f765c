"""The view without a terminal: a plain line every few seconds."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Self

import click

from esquirell.demo.figures import figure
from esquirell.demo.state import DemoState, Facts


class Lines:
    """Prints what runs where, then the progress."""

    pause_s = 5.0

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def show(self, state: DemoState) -> None:
        """Print one line."""
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
