"""Flower as a process: from its options to its end."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable

from celery import Celery
from flower.options import options
from tornado.ioloop import IOLoop, PeriodicCallback

from esquirell.daemon.ending import end_in_time
from esquirell.daemon.garbage import settle
from esquirell.daemon.notify import notify
from esquirell.domain.errors import ConfigError
from esquirell.flower.access import AccessControl, Credentials
from esquirell.flower.history import History
from esquirell.flower.masking import Mask, secrets_of
from esquirell.flower.site import Site
from esquirell.settings import Settings

log = logging.getLogger(__name__)

ANNOUNCE_EVERY_S = 5.0
LISTEN_WITHIN_S = 5.0
# A worker that has been gone for a day is no longer shown.
FORGET_WORKERS_S = 86_400
# They log every missing worker and every refusal.
CHATTY = ("tornado.general", "flower.inspector", "flower.api.control")
# Flower sends a dozen queries at once, each over two connections: with fewer connections they
# deadlock. And a page that waits for Redis should say so.
CONNECTIONS = {"broker_pool_limit": 40, "broker_connection_max_retries": 1}
COLUMNS = "name,state,args,kwargs,result,received,runtime,worker,uuid"


def serve(
    app: Celery, settings: Settings, credentials: Credentials, announce: Callable[[], object]
) -> None:
    """Serve the pages until a signal arrives; `announce` is called while all is well.

    Raises ConfigError when it can't listen on the address.
    """
    # What Flower writes, its history, is for this user only.
    os.umask(0o077)
    logging.getLogger("tornado.access").setLevel(logging.ERROR)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    app.conf.update(CONNECTIONS)
    _set_options(settings, credentials)
    site = _site(app, settings, credentials)
    _listen(site)
    settle()
    _run(site, announce)


def _set_options(settings: Settings, credentials: Credentials) -> None:
    """Set Flower's options: no argument or environment variable contains a secret."""
    flower = settings.flower
    options.basic_auth = [credentials.pair]
    options.address, options.port = flower.address, flower.port
    options.url_prefix = flower.url_prefix
    options.max_tasks = flower.max_tasks
    options.read_only = flower.read_only
    options.purge_offline_workers = FORGET_WORKERS_S
    options.tasks_columns = COLUMNS


def _site(app: Celery, settings: Settings, credentials: Credentials) -> Site:
    flower = settings.flower
    folder = settings.state_dir / "flower"
    folder.mkdir(mode=0o700, exist_ok=True)
    mask = Mask([*secrets_of(settings), credentials.password])
    history = History(app, IOLoop.current(), mask, folder / "history", flower.max_tasks)
    access = AccessControl(
        credentials.pair,
        url_prefix=flower.url_prefix,
        open_metrics=flower.open_metrics,
        hosts=flower.hosts,
    )
    return Site(app, access, mask, history, flower.url_prefix)


def _listen(site: Site) -> None:
    where = f"{options.address}:{options.port}"
    try:
        site.start_http_server()
    except OSError as error:
        raise ConfigError(
            f"Flower can't listen on {where} ({error.strerror}): change address or port in [flower]"
        ) from None


def _run(site: Site, announce: Callable[[], object]) -> None:
    loop = asyncio.get_event_loop()

    def stop() -> None:
        notify("STOPPING=1")
        end_in_time(lambda: None)
        site.stop()

    async def begin() -> None:
        # From now on everything is in the history; without Redis there is nothing to miss.
        await loop.run_in_executor(None, site.history.listening.wait, LISTEN_WITHIN_S)
        below = f"{options.url_prefix}/" if options.url_prefix else ""
        log.info("up as flower on http://%s:%s/%s", options.address, options.port, below)
        notify("READY=1", "STATUS=up as flower")
        await look()

    async def look() -> None:
        notify("WATCHDOG=1")
        await loop.run_in_executor(None, announce)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.call_soon(lambda: loop.create_task(begin()))
    PeriodicCallback(look, ANNOUNCE_EVERY_S * 1000).start()
    site.start()
    log.info("ended")
