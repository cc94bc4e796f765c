"""Applying a changed configuration to a running process."""

import logging
import queue
import signal
from threading import Thread

from esquirell.daemon import logs
from esquirell.daemon.pools import Pool
from esquirell.domain.errors import ConfigError
from esquirell.runtime.root import Runtime

log = logging.getLogger(__name__)


def reload_on_hangup(runtime: Runtime, pool: Pool | None = None) -> None:
    """Apply meters and log level at SIGHUP; an invalid configuration changes nothing."""
    # In a thread: the handler may interrupt a thread that holds a lock.
    word: queue.SimpleQueue[int] = queue.SimpleQueue()
    forks = pool is not None and pool.forks
    Thread(
        target=_serve, args=(runtime, word), kwargs={"forks": forks}, name="reload", daemon=True
    ).start()
    signal.signal(signal.SIGHUP, lambda number, _: word.put(number))


def _serve(runtime: Runtime, word: queue.SimpleQueue[int], *, forks: bool) -> None:
    while word.get():
        if forks:
            log.error("processes keep their configuration: restart this worker to change it")
        else:
            _reload(runtime)


def _reload(runtime: Runtime) -> None:
    try:
        runtime.reload()
    except ConfigError as error:
        log.error("the configuration is unchanged: %s", error)  # noqa: TRY400 - one sentence
        return
    except Exception:  # the next SIGHUP must still be handled
        log.exception("the configuration could not be reloaded")
        return
    logs.set_level(runtime.settings.log.level)
    log.info("the configuration was reloaded; meters: %d", len(runtime.meters()))
