"""What every command knows of its call: configuration file, output, and who to ask."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from esquirell.runtime import Runtime
    from esquirell.settings import Settings


@dataclass
class Call:
    """One call of the command line."""

    config: Path | None = None
    json: bool = False
    debug: bool = False

    @cached_property
    def settings(self) -> "Settings":
        """The settings; their warnings go to stderr. Raises ConfigError."""
        from esquirell.settings import load  # noqa: PLC0415 - --help should not wait for it

        if self.config:
            # Children of this process, and Celery's own lazy loading, find the same file.
            os.environ["ESQUIRELL_CONFIG"] = str(self.config.absolute())
        settings = load()
        for warning in settings.warnings:
            click.echo(f"warning: {warning}", err=True)
        return settings

    @cached_property
    def runtime(self) -> "Runtime":
        """Everything behind the services. Raises ConfigError."""
        settings = self.settings
        from esquirell.celery import app  # noqa: PLC0415 - it takes long, and not all need it
        from esquirell.runtime import Runtime, use  # noqa: PLC0415

        runtime = Runtime(settings, app)
        use(runtime)
        return runtime


pass_call = click.make_pass_decorator(Call, ensure=True)


def common_options() -> list[click.Option]:
    """Build the options that may stand before or after a command."""
    path = click.Path(dir_okay=False, path_type=Path)
    return [
        _option("--config", type=path, metavar="FILE", help="The configuration file."),
        _option("--json", is_flag=True, help="Print the data as JSON."),
        _option("--debug", is_flag=True, help="Show tracebacks and log everything."),
    ]


def _option(name: str, **attributes: Any) -> click.Option:  # noqa: ANN401 - handed on to click
    return click.Option([name], expose_value=False, callback=_keep, **attributes)


def _keep(context: click.Context, option: click.Parameter, value: object) -> None:
    if value and option.name:
        setattr(context.ensure_object(Call), option.name, value)


class Command(click.Command):
    """A command that takes the common options, too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - handed on to click
        super().__init__(*args, **kwargs)
        self.params += common_options()


class Group(click.Group):
    """A group whose commands, like itself, take the common options."""

    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - handed on to click
        super().__init__(*args, **kwargs)
        self.params += common_options()
