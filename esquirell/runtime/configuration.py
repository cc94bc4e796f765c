"""What a service rejects in a valid configuration, and how it applies a changed one."""

import logging
from collections.abc import Iterator

from esquirell.beat.rules import rule_of
from esquirell.domain.errors import ConfigError
from esquirell.mqtt.options import tls_context
from esquirell.runtime.connections import options_of
from esquirell.settings import Settings, load

log = logging.getLogger(__name__)


def reloaded(before: Settings) -> Settings:
    """Load the settings again, and return those to apply to a running service.

    What began with the earlier time zone goes on in it, and a meter whose file was damaged stays as
    it was. Raises ConfigError, also when the file has lost all its meters: an editor that empties
    it before it writes would remove them from Home Assistant.
    """
    # A task of a user's may have changed the directory that it was found from.
    after = load(before.source)
    if before.configured and not after.configured:
        raise ConfigError(
            f"{after.source or 'the environment'} no longer has any meters: restart the "
            "service if that is intended"
        )
    if before.timezone != after.timezone:
        # Statistics, costs and crontabs began with it.
        log.warning(
            "the time zone is %s by now, and %s until a restart", after.timezone, before.timezone
        )
        after = after.model_copy(update={"timezone": before.timezone})
    for name, problem in after.left_out.items():
        if before.left_out.get(name) != problem:
            log.error("%s: the meter %s stays as it was", problem, name)
    kept = [
        meter
        for meter in before.meters
        if meter.name in after.left_out and meter.name not in after.meter_names
    ]
    added = (*after.added, *(meter.name for meter in kept))
    return after.model_copy(update={"meters": (*after.meters, *kept), "added": added})


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
