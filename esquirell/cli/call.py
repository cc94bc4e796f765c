"""What every command needs: the configuration file, the output format, and the services."""

import logging
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import click

from esquirell.cli.invocation import is_service_program
from esquirell.cli.meter_names import expand
from esquirell.cli.output import warn
from esquirell.cli.ownership import check_entry, hand_over
from esquirell.domain.errors import ConfigError, UnavailableError
from esquirell.domain.nearest import similar

if TYPE_CHECKING:
    from esquirell.domain.meter import Meter
    from esquirell.profiles import Choices
    from esquirell.runtime.liveness import Presence
    from esquirell.runtime.root import Runtime
    from esquirell.runtime.storage import Storage
    from esquirell.runtime.upkeep import Upkeep
    from esquirell.services.schedules import ScheduleView
    from esquirell.settings import Settings

NO_METER = "no meter is configured: add one with esquirell meters add"


def now() -> datetime:
    """Return the current time, aware and in UTC."""
    return datetime.now(UTC)


@dataclass
class Call:
    """One call of the command line; without `warns` it does not print the settings' warnings."""

    config: Path | None = None
    json: bool = False
    debug: bool = False
    warns: bool = True

    @cached_property
    def settings(self) -> "Settings":
        """The settings; their warnings go to stderr. Raises ConfigError."""
        from esquirell.settings import load  # noqa: PLC0415 - --help should not wait for it

        _log(debug=self.debug)
        if self.config:
            # Child processes, and Celery's own lazy loading, find the same file.
            os.environ["ESQUIRELL_CONFIG"] = str(self.config.absolute())
        settings = load()
        click.get_current_context().call_on_close(partial(hand_over, settings.state_dir))
        for warning in (*settings.warnings, *settings.damage) if self.warns else ():
            warn(warning)
        if self.warns and not self.config and is_service_program():
            _warn_of_nearer(settings.source)
        return settings

    def warn_without_meters(self) -> None:
        """Warn a service that there is no meter; what is about meters says so itself."""
        if self.settings.no_meter:
            warn(self.settings.no_meter)

    @cached_property
    def profiles(self) -> "Choices":
        """The profiles of the meters, as far as they are known without reading them."""
        from esquirell.runtime.products import known_profiles  # noqa: PLC0415 - few need it

        return known_profiles(lambda: self.settings)

    @cached_property
    def runtime(self) -> "Runtime":
        """Everything behind the services. Raises ConfigError."""
        settings = self.settings
        check_entry(settings.state_dir)
        from esquirell.celery import app  # noqa: PLC0415 - it takes long, and not all need it
        from esquirell.runtime.root import Runtime, use  # noqa: PLC0415 - as above

        runtime = Runtime(settings, app)
        use(runtime)
        click.get_current_context().call_on_close(runtime.storage.database.close)
        return runtime

    @cached_property
    def storage(self) -> "Storage":
        """What is stored, without the rest of the runtime: most commands need no more.

        Raises ConfigError, and UnavailableError while there is no database: looking must not create
        one.
        """
        database = self._storage.database
        if database.file is not None and not database.file.exists():
            raise UnavailableError(
                f"the database {database.describe()} does not exist yet: "
                "esquirell run or esquirell db upgrade creates it"
            )
        return self._storage

    @cached_property
    def upkeep(self) -> "Upkeep":
        """Maintenance of the database, even of one that does not exist yet. Raises ConfigError."""
        from esquirell.runtime.upkeep import Upkeep  # noqa: PLC0415 - as above

        return Upkeep(self.settings, self._storage, now)

    @cached_property
    def presence(self) -> "Presence":
        """Which processes are alive, loaded alone: health checks run often. Raises ConfigError."""
        from esquirell.runtime.liveness import presence_of  # noqa: PLC0415 - as above

        return click.get_current_context().with_resource(presence_of(self.settings))

    @cached_property
    def schedules(self) -> "ScheduleView":
        """The schedules, to be looked at. Raises ConfigError, and UnavailableError as `storage`."""
        return click.get_current_context().with_resource(self.storage.schedule_view())

    @cached_property
    def _storage(self) -> "Storage":
        from esquirell.runtime.storage import Storage  # noqa: PLC0415 - as above

        check_entry(self.settings.state_dir)
        storage = Storage(lambda: self.settings, now)
        click.get_current_context().call_on_close(storage.database.close)
        return storage

    def meters(self, names: Sequence[str]) -> "list[Meter]":
        """Return the configured meters that are named, or all. Raises UsageError or ConfigError.

        A name may be a pattern, or an area.
        """
        known = {meter.name: meter for meter in self.settings.meters}
        if not known:
            raise ConfigError(NO_METER)
        return [known[name] for name in expand(names or known, self.settings.meters, known)]

    def record(self, command: str, request: Mapping[str, Any]) -> None:
        """Record a change that was made here; pages that show the past look again after it."""
        from esquirell.domain.command import Answer, CommandRecord  # noqa: PLC0415 - as above

        at = now()
        made = CommandRecord(uuid.uuid4().hex, at, "cli", command, request)
        self.storage.commands.record(made)
        self.storage.commands.finish(made.id, at, Answer("ok"))


pass_call = click.make_pass_decorator(Call, ensure=True)


def misuse(sentence: str) -> click.UsageError:
    """Return the error that says that this command can't be called like this."""
    return click.UsageError(sentence, click.get_current_context(silent=True))


def _warn_of_nearer(source: Path | None) -> None:
    """Warn if a configuration in this folder hides the one of the service that was called."""
    from esquirell.settings.files import SEARCHED, may_exist  # noqa: PLC0415 - as `load`

    nearer = [file.absolute() for file in SEARCHED[:-1]]
    if source in nearer and may_exist(SEARCHED[-1]):
        warn(f"this goes by {source}; the service of this machine has --config {SEARCHED[-1]}")


class OneOf(click.Choice[str]):
    """A choice of texts; a misspelt one is answered with the one that may be meant."""

    def __init__(self, choices: Sequence[str]) -> None:
        super().__init__(choices)

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the choice. Raises click.BadParameter."""
        if value in self.choices:
            return value
        meant = similar(value, self.choices)
        hint = f"; did you mean {meant!r}?" if meant else ""
        known = ", ".join(choice for choice in self.choices if choice)
        return self.fail(f"{value!r} is not one of {known}{hint}", param, ctx)


class Between(click.IntRange):
    """Whole numbers from one bound to another, described as people write them."""

    def _describe_range(self) -> str:
        return f"{self.min} to {self.max}"


def required(text: str, check: Callable[[str], str], *, hide_input: bool = False) -> str:
    """Ask until `check` raises no UsageError; an empty answer is checked, not passed over."""
    return str(click.prompt(text, "", hide_input=hide_input, value_proc=check, show_default=False))


def something(text: str) -> str:
    """Return an answer without blanks around it. Raises UsageError if nothing is left."""
    if not text.strip():
        raise click.UsageError("an answer is needed here; Ctrl-C ends")
    return text.strip()


def common_options() -> list[click.Option]:
    """Return the options that may stand before or after a command."""
    path = click.Path(dir_okay=False, path_type=Path)
    return [
        _option("--config", _keep, type=path, metavar="FILE", help="The configuration file."),
        _option("--json", _keep, is_flag=True, help="Print the data as JSON."),
        _option("--debug", _keep, is_flag=True, help="Show tracebacks and log everything."),
        _option(
            "--version",
            _show_version,
            is_flag=True,
            is_eager=True,
            help="Show the version and exit.",
        ),
    ]


def _option(name: str, callback: Any, **attributes: Any) -> click.Option:  # noqa: ANN401 - handed on to click
    return click.Option([name], expose_value=False, callback=callback, **attributes)


def _keep(context: click.Context, option: click.Parameter, value: object) -> None:
    if value and option.name:
        setattr(context.ensure_object(Call), option.name, value)


def _show_version(context: click.Context, _option: click.Parameter, wanted: object) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - --help should not wait for it

        click.echo(f"esquirell {version('esquirell')}")
        context.exit()


def _log(*, debug: bool) -> None:
    """Log for people who debug; otherwise a command's answers and errors are enough.

    Only our own records: those of the libraries may contain keys.
    """
    if debug:
        logging.basicConfig(level=logging.WARNING)
        logging.getLogger("esquirell").setLevel(logging.DEBUG)
    else:
        logging.getLogger().addHandler(logging.NullHandler())


class Command(click.Command):
    """A command that accepts the common options as well."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - handed on to click
        super().__init__(*args, **kwargs)
        self.params += common_options()


# Longer than any first sentence, in characters.
_WHOLE = 500


class Group(click.Group):
    """A group whose commands, like itself, accept the common options.

    `synonyms` are words by which other programs know a command, with what to type here.
    """

    command_class = Command
    synonyms: ClassVar[Mapping[str, str]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - handed on to click
        super().__init__(*args, **kwargs)
        self.params += common_options()

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that was called. Raises UsageError that names the nearest one."""
        name, commands = args[0], self.list_commands(ctx)
        if name not in commands and not name.startswith("-"):
            meant = self.synonyms.get(name) or similar(name, commands)
            hint = f"; did you mean {meant!r}?" if meant else ""
            ctx.fail(f"there is no command {name!r}{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their whole first sentences; click truncates them."""
        found = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        rows = [
            (name, command.get_short_help_str(_WHOLE))
            for name, command in found.items()
            if command and not command.hidden
        ]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)
