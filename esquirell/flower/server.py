"""Flower as a process: from its options to its end."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from typing import Any

from celery import Celery
from flower.app import Flower
from flower.inspector import Inspector
from flower.options import options
from flower.urls import settings as flower_settings
from flower.utils import prepend_url
from tornado.httputil import HTTPServerRequest
from tornado.ioloop import IOLoop, PeriodicCallback
from tornado.web import url

from esquirell.daemon.lifecycle import end_in_time
from esquirell.daemon.notify import notify
from esquirell.daemon.resources import settle
from esquirell.domain.errors import ConfigError
from esquirell.flower.access import AccessControl, Credentials, NeverFramed
from esquirell.flower.calls import HANDLERS, Revoke
from esquirell.flower.history import History
from esquirell.flower.masking import Mask, secrets_of
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
LOOK_EVERY_S = 5.0


class Site(Flower):
    """All pages; every request passes access control first."""

    def __init__(
        self, app: Celery, access: AccessControl, mask: Mask, history: History, prefix: str
    ) -> None:
        super().__init__(options=options, capp=app, events=history, **_paths(prefix))
        self.access = access
        self.add_transform(NeverFramed)
        self.mask = mask
        self.history = history
        self.inspector = MaskedInspector(mask, self.io_loop, app, options.inspect_timeout / 1000)
        below = f"/{prefix}" if prefix else ""
        ours = HANDLERS | {"revoke/(.+)": Revoke}
        self.add_handlers(
            ".*", [url(f"{below}/api/task/{at}", handler) for at, handler in ours.items()]
        )
        self._look = PeriodicCallback(self._meet_workers, LOOK_EVERY_S * 1000)

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:  # noqa: ANN401 - tornado's
        refusal = self.access.refusal(request)
        if refusal is None:
            return super().find_handler(request, **kwargs)
        return self.get_handler_delegate(request, refusal)

    def start(self) -> None:
        """Serve until `stop`."""
        self._look.start()
        super().start()

    def _meet_workers(self) -> None:
        """Query workers that were started after Flower."""
        for name, worker in list(self.events.state.workers.items()):
            if worker.alive and name not in self.workers:
                self.update_workers(name)


class MaskedInspector(Inspector):
    """Masks secrets in what workers report about themselves and their waiting tasks."""

    def __init__(self, mask: Mask, *args: Any) -> None:  # noqa: ANN401 - Flower's
        super().__init__(*args)
        self._mask = mask

    def _on_update(self, workername: str, method: str, response: Any) -> None:  # noqa: ANN401 - JSON
        super()._on_update(workername, method, self._mask.data(response))


def _paths(prefix: str) -> dict[str, Any]:
    prefixed = ("login_url", "static_url_prefix") if prefix else ()
    return {
        **flower_settings,
        **{setting: prepend_url(flower_settings[setting], prefix) for setting in prefixed},
    }


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
