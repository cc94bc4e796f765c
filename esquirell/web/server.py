"""The page in a process, with the other roles or alone: its listeners and the loop of them all."""

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from threading import BoundedSemaphore

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.netutil import bind_sockets

from esquirell import forks
from esquirell.daemon.following import following_meters
from esquirell.daemon.parts import RunOnce, ServicePart
from esquirell.daemon.roles import Role
from esquirell.runtime.mqtt import published
from esquirell.runtime.page_address import page_url
from esquirell.runtime.root import Runtime
from esquirell.settings.home_assistant_app import TOKEN
from esquirell.web.gate import Gate, IngressGate
from esquirell.web.live import Live
from esquirell.web.routes import routes
from esquirell.web.site import LARGEST_BODY, Shared, Site

log = logging.getLogger(__name__)

TURN_S = 10.0
WAIT_S = 1.0
# Larger headers are cut off without an answer; for the allowed size see site.py.
READ_HEADERS = 256 * 1024
IDLE_S = 75.0
# For all listeners together. A browser opens up to six connections, and one more for live values;
# each takes one of the open files that this process is allowed, which its meters need as well.
MOST_CONNECTIONS = 500
BODY_S = 30.0
# Apps on the host's network share its ports: 8099 is the default of other apps.
INGRESS_PORT = 8156


def web(runtime: Runtime, live: Live, password_command: str) -> ServicePart:
    """Build the part that serves the page; its login form names `password_command`."""
    interrupter = RoundInterrupter()

    def share() -> Shared:
        return Shared(runtime, live, password_command)

    return ServicePart("web", lambda: _serving(share, interrupter), interrupter.hurry)


def beside(runtime: Runtime, role: Role, password_command: str) -> Role:
    """Return a polling role with the page added: its values are live from the polls.

    The login form names `password_command`, which shows the password.
    """
    live = Live()
    runtime.mqtt.publisher.on_reading(live.take)
    runtime.mqtt.publisher.on_event(live.note)
    return replace(role, parts=(*role.parts, web(runtime, live, password_command)))


def alone(runtime: Runtime, password_command: str) -> Role:
    """Return the page as a role: live from retained MQTT messages, or else from the database."""
    if not runtime.settings.web.port:
        log.warning("the page is switched off: set port under [web]")
        return Role(("web",))
    live = Live(refresh_s=5.0)
    page = web(runtime, live, password_command)
    return Role(("web",), (page, _listening(runtime, live), following_meters(runtime)))


def _listening(runtime: Runtime, live: Live) -> ServicePart:
    @contextmanager
    def make() -> Iterator[RunOnce]:
        with published(runtime.settings, live.take, live.note):
            yield lambda: WAIT_S

    return ServicePart("readings", make)


class BoundedServer(HTTPServer):
    """Refuses connections beyond a limit, so that meters can still be read.

    `places` counts the connections that may still be opened, on all listeners.
    """

    places: BoundedSemaphore

    def handle_stream(self, stream: IOStream, address: tuple[object, ...]) -> None:
        """Serve a connection, unless there are too many."""
        if self.places.acquire(blocking=False):
            super().handle_stream(stream, address)
        else:
            stream.close()

    def on_close(self, server_conn: object) -> None:
        """Free the place of a connection that ended."""
        super().on_close(server_conn)
        self.places.release()


class RoundInterrupter:
    """Ends a round of the page's loop from another thread."""

    def __init__(self) -> None:
        self._interrupt: Callable[[], object] = lambda: None

    def of(self, loop: asyncio.AbstractEventLoop) -> asyncio.Event:
        """Return the event that ends the current round of a loop."""
        event = asyncio.Event()
        self._interrupt = lambda: loop.call_soon_threadsafe(event.set)
        return event

    def hurry(self) -> None:
        """End the current round, if there is one."""
        # A closed loop has no round.
        with suppress(RuntimeError):
            self._interrupt()


@contextmanager
def _serving(share: Callable[[], Shared], interrupter: RoundInterrupter) -> Iterator[RunOnce]:
    """Serve in this thread, running the loop for some seconds each round."""
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        asyncio.set_event_loop(loop)
        servers = runner.run(_listen(share()))
        ended = interrupter.of(loop)

        def run_once() -> float:
            runner.run(_until(ended))
            return 0.0

        try:
            yield run_once
        finally:
            runner.run(_close(servers))


async def _until(ended: asyncio.Event) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), TURN_S)


async def _listen(shared: Shared) -> list[HTTPServer]:
    logging.getLogger("tornado.access").setLevel(logging.ERROR)
    logging.getLogger("tornado.general").setLevel(logging.ERROR)
    web_settings = shared.runtime.settings.web
    shared.live.attach(asyncio.get_running_loop())
    places = BoundedSemaphore(MOST_CONNECTIONS)
    servers: list[HTTPServer | None] = []
    if port := web_settings.port:
        site = Site(shared, Gate(web_settings), web_settings.base_path, routes())
        where = f"at {page_url(web_settings)} (its password: esquirell web password)"
        servers.append(_bound(site, web_settings.address, port, where, places))
    if os.environ.get(TOKEN):
        site = Site(shared, IngressGate(), "", routes())
        where = f'in Home Assistant: "Open Web UI" of this app (port {INGRESS_PORT})'
        everywhere = "0.0.0.0"  # noqa: S104 - the gate admits only one peer
        servers.append(_bound(site, everywhere, INGRESS_PORT, where, places))
    return [server for server in servers if server]


def _bound(
    site: Site, address: str, port: int, where: str, places: BoundedSemaphore
) -> HTTPServer | None:
    """Listen on a port, and log where the page is.

    A port in use is only a warning, so that everything else continues.
    """
    try:
        sockets = bind_sockets(port, address, reuse_port=False)
    except OSError as error:
        log.warning(
            "the page can't listen on %s:%d (%s): change address or port in [web]",
            address,
            port,
            error.strerror,
        )
        return None
    server = BoundedServer(
        site,
        max_body_size=LARGEST_BODY,
        max_buffer_size=LARGEST_BODY,
        max_header_size=READ_HEADERS,
        idle_connection_timeout=IDLE_S,
        body_timeout=BODY_S,
    )
    server.places = places
    for listening in sockets:
        forks.keep(listening)
    server.add_sockets(sockets)
    log.info("the page is %s", where)
    return server


async def _close(servers: list[HTTPServer]) -> None:
    for server in servers:
        server.stop()
        await server.close_all_connections()
