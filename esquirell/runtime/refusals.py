"""What a service would reject in a valid configuration, without starting anything."""

from collections.abc import Iterator

from esquirell.beat.rules import rule_of
from esquirell.domain.errors import ConfigError
from esquirell.mqtt.options import tls_context
from esquirell.runtime.connections import options_of
from esquirell.settings import Settings


def refusals(settings: Settings) -> Iterator[str]:
    """Return a sentence for each crontab that never runs, and for unusable certificates."""
    for schedule in settings.schedules:
        try:
            rule_of(schedule, settings.timezone)
        except ConfigError as error:
            yield f"schedules.{schedule.name}: {error}"
    try:
        tls_context(options_of(settings, bridges=False))
    except ConfigError as error:
        yield str(error)
