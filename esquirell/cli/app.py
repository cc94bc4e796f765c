"""The group of all commands; each is loaded when it is called, to keep `--help` fast."""

from importlib import import_module

import click

from esquirell.cli.call import Group
from esquirell.cli.commands import COMMANDS, SECTIONS, SYNONYMS


class Table(Group):
    """The group of all commands."""

    synonyms = SYNONYMS

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(f"esquirell.cli.{module}"), name)
        assert isinstance(command, click.Command)  # noqa: S101 - the table above is ours
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by heading, in one column for all, without loading them."""
        del ctx
        width = max(map(len, COMMANDS))
        for heading, commands in SECTIONS.items():
            with formatter.section(heading):
                formatter.write_dl(
                    [(name.ljust(width), help_) for name, (_, help_) in commands.items()]
                )


@click.group(cls=Table)
def app() -> None:
    """Read Tuya energy meters into a database and Home Assistant, on a schedule."""
