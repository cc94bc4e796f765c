"""Home Assistant around the page: an app that it has started, and its proxy with a frame."""

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from support.page import PASSWORD, Browser, Reply, await_page
from support.ports import free_port
from support.service import Service, configuration, meter_table, simulated
from support.waiting import LIMIT_S, eventually

# The Supervisor's own address can't be had outside of Home Assistant.
SUPERVISOR = "127.0.0.2"
# As Home Assistant makes them up, different in each installation.
PATH = "/api/hassio_ingress/mZ3q-Jx_0aYwEXAMPLE"
PROGRAM = """
from functools import partial
from esquirell.web import server
server.IngressGate = partial(server.IngressGate, {peer!r})
server.INGRESS_PORT = {port}
from esquirell.__main__ import main
main()
"""
FRAME = f"""<!doctype html><title>Home Assistant</title><link rel="icon" href="data:,">
<style>body {{ margin: 0 }} iframe {{ border: 0; width: 100vw; height: 100vh }}</style>
<iframe src="%s{PATH}/"></iframe>"""
# What Home Assistant's proxy does not pass on, to either side: it says it anew.
_OWN = {"content-length", "content-encoding", "transfer-encoding", "accept-encoding", "host"}


class Ingress(Browser):
    """A browser behind the Supervisor, which has asked for the log-in and taken the path off."""

    def __init__(self, port: int, source: str = SUPERVISOR) -> None:
        super().__init__(port, source=source)

    def ask(
        self,
        method: str,
        path: str,
        body: str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        return super().ask(method, path, body, {"X-Ingress-Path": PATH} | dict(headers or {}))

    @property
    def token(self) -> str:
        found = re.search(r'name="_xsrf" value="([^"]+)"', self.get("/schedules").text)
        assert found
        return found[1]


class App(Service):
    """A service that Home Assistant has started as an app."""

    ingress_port = 0

    @property
    def program(self) -> list[str]:
        return [sys.executable, "-c", PROGRAM.format(peer=SUPERVISOR, port=self.ingress_port)]


@contextmanager
def running_app(folder: Path) -> Iterator[App]:
    """Run an app with one meter that answers."""
    page, meter = free_port(), simulated("main")
    config = configuration([meter_table("main", meter.port)], mqtt_port=1)
    web = f'web.port = {page}\nweb.password = "{PASSWORD}"'
    app = App(folder, config.replace("web.port = 0", web))
    app.environment = {"SUPERVISOR_TOKEN": "supervisor"}
    app.ingress_port = free_port()
    app.start()
    try:
        await_page(page)
        eventually(lambda: app.readings() > 0, what=lambda: app.log)
        yield app
    finally:
        app.kill()
        meter.stop()


@contextmanager
def home_assistant(app: App) -> Iterator[int]:
    """Serve a page with the app in a frame, passed on as Home Assistant does; yield its port.

    Bodies are passed on in chunks, without their length and without compression.
    """
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), _proxy_to(app.ingress_port, FRAME % ""))
    with serving(proxy) as port:
        yield port


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[int]:
    """Serve in threads; yield the port."""
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def page_with(html: str) -> ThreadingHTTPServer:
    """Return a server of one page."""
    return ThreadingHTTPServer(("127.0.0.1", 0), _proxy_to(0, html))


class Proxy(BaseHTTPRequestHandler):
    """Passes on what is below the path of the app; anything else is a page with a frame."""

    app_port: int
    html: str
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/":
            html = self.html.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(html)))
            self.end_headers()
            self.wfile.write(html)
        elif self.path.startswith(f"{PATH}/"):
            with suppress(ConnectionError):
                self._pass_on()
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        self.do_GET()

    def do_HEAD(self) -> None:
        self.do_GET()

    def _pass_on(self) -> None:
        kept = {key: one for key, one in self.headers.items() if key.lower() not in _OWN}
        kept |= {
            "X-Ingress-Path": PATH,
            "X-Hass-Source": "core.ingress",
            "X-Forwarded-Proto": "http",
            "X-Forwarded-Host": self.headers["Host"],
        }
        length = int(self.headers.get("Content-Length") or 0)
        body = iter([self.rfile.read(length)]) if length else None
        source = (SUPERVISOR, 0)
        with closing(HTTPConnection("127.0.0.1", self.app_port, LIMIT_S, source)) as app:
            app.request(self.command, self.path.removeprefix(PATH), body, kept, encode_chunked=True)
            answer = app.getresponse()
            self.send_response(answer.status)
            for key, one in answer.getheaders():
                if key.lower() not in _OWN:
                    self.send_header(key, one)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            while part := answer.read1():
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def _proxy_to(port: int, html: str) -> type[Proxy]:
    return type("Proxy", (Proxy,), {"app_port": port, "html": html})
