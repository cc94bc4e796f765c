"""What every command knows of its call: configuration file, output, and who to ask."""

import logging
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from esquirell.cli.ownership import check_entry, hand_over
from esquirell.domain.errors import ConfigError, UnavailableError

if TYPE_CHECKING:
    from esquirell.broker.presence import Presence
    from esquirell.domain.meter import Meter
    from esquirell.runtime import Runtime
    from esquirell.services.costs import Costs
    from esquirell.services.statistics import Statistics
    from esquirell.settings import Settings
    from esquirell.storage.commands import CommandLog
    from esquirell.storage.database import Database
    from esquirell.storage.prices import Prices
    from esquirell.storage.readings import Readings
    from esquirell.storage.statistics.store import Statistics as StatisticsStore


@dataclass
class Call:
    """One call of the command line; without `warns` it leaves the settings' warnings untold."""

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
            # Children of this process, and Celery's own lazy loading, find the same file.
            os.environ["ESQUIRELL_CONFIG"] = str(self.config.absolute())
        settings = load()
        click.get_current_context().call_on_close(partial(hand_over, settings.state_dir))
        for warning in settings.warnings if self.warns else ():
            click.echo(f"warning: {warning}", err=True)
        return settings

    @cached_property
    def runtime(self) -> "Runtime":
        """Everything behind the services. Raises ConfigError."""
        settings = self.settings
        check_entry(settings.state_dir)
        from esquirell.celery import app  # noqa: PLC0415 - it takes long, and not all need it
        from esquirell.runtime import Runtime, use  # noqa: PLC0415

        runtime = Runtime(settings, app)
        use(runtime)
        click.get_current_context().call_on_close(runtime.storage.database.close)
        return runtime

    @cached_property
    def database(self) -> "Database":
        """The database by itself, for commands that only look into it.

        To load all that the runtime needs takes longer than most of them do. Raises
        ConfigError.
        """
        from esquirell.storage.database import Database  # noqa: PLC0415 - the same

        check_entry(self.settings.state_dir)
        database = Database(self.settings.database_url)
        click.get_current_context().call_on_close(database.close)
        return database

    @cached_property
    def readings(self) -> "Readings":
        """The stored readings by themselves.

        Raises ConfigError, and UnavailableError while there is no database: to look must not
        make one.
        """
        from esquirell.storage.readings import Readings  # noqa: PLC0415 - as above

        return Readings(self._present_database())

    @cached_property
    def statistics_store(self) -> "StatisticsStore":
        """The stored statistics by themselves. Raises as `readings` does."""
        from esquirell.storage.statistics.store import Statistics  # noqa: PLC0415 - as above

        return Statistics(self._present_database(), self.settings.timezone)

    @cached_property
    def statistics(self) -> "Statistics":
        """The one who works up statistics, by itself. Raises as `readings` does."""
        from esquirell.domain.periods import Calendar  # noqa: PLC0415 - as above
        from esquirell.services.statistics import Statistics  # noqa: PLC0415 - as above

        calendar = Calendar(self.settings.timezone)
        return Statistics(self.statistics_store, calendar, lambda: datetime.now(UTC))

    @cached_property
    def prices(self) -> "Prices":
        """The imported prices by themselves. Raises as `readings` does."""
        from esquirell.storage.prices import Prices  # noqa: PLC0415 - as above

        return Prices(self._present_database())

    @cached_property
    def costs(self) -> "Costs":
        """The one who reckons costs, by itself. Raises as `readings` does."""
        from esquirell.domain.periods import Calendar  # noqa: PLC0415 - as above
        from esquirell.services.costs import Costs  # noqa: PLC0415 - as above

        calendar, tariffs = Calendar(self.settings.timezone), self.settings.tariffs
        return Costs(
            self.statistics_store, self.prices, lambda: tariffs, calendar, lambda: datetime.now(UTC)
        )

    @cached_property
    def commands(self) -> "CommandLog":
        """The log of commands by itself. Raises as `readings` does."""
        from esquirell.storage.commands import CommandLog  # noqa: PLC0415 - as above

        return CommandLog(self._present_database())

    @cached_property
    def presence(self) -> "Presence":
        """Who is alive, by itself: health checks ask each minute. Raises ConfigError."""
        from esquirell.broker.connection import connect  # noqa: PLC0415 - as above
        from esquirell.broker.presence import Presence  # noqa: PLC0415 - as above
        from esquirell.wiring import address_of  # noqa: PLC0415 - as above

        client = connect(address_of(self.settings))
        click.get_current_context().call_on_close(client.close)
        return Presence(client, f"{socket.gethostname()}-{os.getpid()}-cli")

    def _present_database(self) -> "Database":
        if self.database.file is not None and not self.database.file.exists():
            raise UnavailableError(
                f"the database {self.database.describe()} is not there yet: "
                "esquirell run makes it, and so does esquirell db upgrade"
            )
        return self.database

    def meters(self, names: Sequence[str]) -> "list[Meter]":
        """Give the configured meters of these names, or all. Raises UsageError or ConfigError."""
        known = {meter.name: meter for meter in self.settings.meters}
        if not known:
            raise ConfigError("no meter is configured: add one as [[meters]]")
        for name in names:
            if name not in known:
                raise misuse(f"there is no meter {name!r}; known: {', '.join(known)}")
        return [known[name] for name in dict.fromkeys(names or known)]


pass_call = click.make_pass_decorator(Call, ensure=True)


def misuse(sentence: str) -> click.UsageError:
    """Say that this command can't be called so."""
    return click.UsageError(sentence, click.get_current_context(silent=True))


def common_options() -> list[click.Option]:
    """Build the options that may stand before or after a command."""
    path = click.Path(dir_okay=False, path_type=Path)
    return [
        _option("--config", _keep, type=path, metavar="FILE", help="The configuration file."),
        _option("--json", _keep, is_flag=True, help="Print the data as JSON."),
        _option("--debug", _keep, is_flag=True, help="Show tracebacks and log everything."),
        _option("--version", _tell, is_flag=True, is_eager=True, help="Show the version and exit."),
    ]


def _option(name: str, callback: Any, **attributes: Any) -> click.Option:  # noqa: ANN401 - handed on to click
    return click.Option([name], expose_value=False, callback=callback, **attributes)


def _keep(context: click.Context, option: click.Parameter, value: object) -> None:
    if value and option.name:
        setattr(context.ensure_object(Call), option.name, value)


def _tell(context: click.Context, _option: click.Parameter, wanted: object) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - --help should not wait for it

        click.echo(f"esquirell {version('esquirell')}")
        context.exit()


def _log(*, debug: bool) -> None:
    """Log for people who look for a fault; else the answers and errors of a command say it all.

    Only our own records: those of the libraries may hold keys.
    """
    if debug:
        logging.basicConfig(level=logging.WARNING)
        logging.getLogger("esquirell").setLevel(logging.DEBUG)
    else:
        logging.getLogger().addHandler(logging.NullHandler())


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
