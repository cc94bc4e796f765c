"""`esquirell log`: who requested what, and the result."""

import json
from typing import Any

import click

from esquirell.cli.call import Between, Call, Command, pass_call
from esquirell.cli.moments import local
from esquirell.cli.output import in_terminal, print_json, print_table
from esquirell.domain.command import entry_of

COLUMNS = ("at", "source", "command", "request", "outcome", "error", "id")
# A terminal has less room; to see ids, pipe the list or ask for JSON.
SHORT = COLUMNS[:-1]


@click.command("log", cls=Command)
@click.option(
    "--last",
    metavar="N",
    type=Between(1, 100_000),
    default=50,
    show_default=True,
    help="How many commands to show.",
)
@pass_call
def log(call: Call, last: int) -> None:
    """Show recent commands and their results, newest last."""
    entries = [entry_of(record) for record in reversed(call.storage.commands.recent(last))]
    if call.json:
        print_json(entries)
        return
    zone = call.settings.timezone
    columns = SHORT if in_terminal() else COLUMNS
    rows = [[_shown(entry[column], column, zone) for column in columns] for entry in entries]
    print_table(columns, rows, empty="no commands yet")


def _shown(value: Any, column: str, zone: str) -> str:  # noqa: ANN401 - JSON is anything
    if column == "at" and in_terminal():
        return local(value, zone)
    if column == "request":
        return " ".join(f"{key}={json.dumps(item)}" for key, item in value.items())
    return "" if value is None else str(value)
