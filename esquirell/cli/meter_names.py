"""Meters as people name them on the command line: by name, label, pattern or area."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import click

from esquirell.domain.errors import ConfigError
from esquirell.domain.nearest import hint

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from esquirell.domain.meter import Meter


class MeterName(click.types.StringParamType):
    """The name of a meter; a shell completes it from the configuration."""

    name = "meter"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> "list[CompletionItem]":
        """Return the configured names that start as typed; none without a configuration."""
        del param
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - only this needs it

        from esquirell.settings import load  # noqa: PLC0415 - the same

        config = ctx.find_root().params.get("config")
        try:
            meters = load(Path(config) if config else None).meters
        except ConfigError:
            return []
        return [
            CompletionItem(meter.name, help=meter.label)
            for meter in meters
            if meter.name.startswith(incomplete)
        ]


METER = MeterName()


def split(texts: Iterable[str]) -> list[str]:
    """Return the names in options that may be given several times, or contain several names."""
    return [name for text in texts for name in text.split(",") if name]


def expand(names: Iterable[str], meters: Sequence["Meter"], known: Collection[str]) -> list[str]:
    """Return the meters that are meant, each once: those of `known` by their names alone.

    Raises UsageError for a name, label, pattern or area that matches no meter.
    """
    found: dict[str, None] = {}
    for name in names:
        meant = [name] if name in known else list(_matching(name, meters))
        if not meant:
            raise click.UsageError(unknown(name, known), click.get_current_context(silent=True))
        found |= dict.fromkeys(meant)
    return list(found)


def _matching(name: str, meters: Iterable["Meter"]) -> Iterator[str]:
    for meter in meters:
        # No name is also the label or the area of a meter without one.
        shown = {meter.name, meter.label.casefold(), meter.area.casefold()}
        if (name and name.casefold() in shown) or fnmatchcase(meter.name, name):
            yield meter.name


def unknown(name: str, known: Collection[str]) -> str:
    """Return the error for an unknown meter, with the one that may be meant."""
    return f"there is no meter {name!r}; {hint(name, sorted(known), 'none is configured')}"
