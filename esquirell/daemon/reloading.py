"""A changed configuration, taken over by a process that runs."""

import logging
import signal

from esquirell.daemon import logs
from esquirell.daemon.pools import Pool
from esquirell.domain.errors import ConfigError
from esquirell.runtime import Runtime

log = logging.getLogger(__name__)


def reload_on_hangup(runtime: Runtime, pool: Pool | None = None) -> None:
    """Take over meters and log level at SIGHUP; a faulty configuration changes nothing."""

    def reload(*_: object) -> None:
        if pool is not None and pool.forks:
            log.error("processes keep their configuration: restart this worker to change it")
        else:
            _reload(runtime)

    signal.signal(signal.SIGHUP, reload)


def _reload(runtime: Runtime) -> None:
    try:
        runtime.reload()
    except ConfigError as error:
        log.error("the configuration stays as it was: %s", error)  # noqa: TRY400 - one sentence
        return
    logs.set_level(runtime.settings.log.level)
    log.info("the configuration was read again; meters: %d", len(runtime.meters()))
