"""A configuration file that was changed while the service runs."""

import logging

from esquirell.domain.errors import ConfigError
from esquirell.settings import Settings, load

log = logging.getLogger(__name__)


def reloaded(before: Settings) -> Settings:
    """Load the settings again, and return those to apply to a running service.

    What began with the earlier time zone goes on in it, and a meter whose file was damaged stays as
    it was. Raises ConfigError, also when the file has lost all its meters: an editor that empties
    it before it writes would remove them from Home Assistant.
    """
    after = load()
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
