"""Home Assistant's Supervisor, as far as an app asks it; also a program, for a container.

Written after what home-assistant/supervisor answers: `services/mqtt` with status 400 while no app
provides a broker, 401 for a token that it has not handed out.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

TOKEN = "5up3rv1s0r-t0k3n-f0r-th1s-4pp"


class FakeSupervisor:
    """Answers at a port of its own; `broker` is what the app for MQTT has said."""

    def __init__(self, broker: dict[str, Any] | None = None, port: int = 0) -> None:
        self.broker = broker
        self.asked: list[str] = []
        handler = type("Bound", (_Handler,), {"supervisor": self})
        self.server = ThreadingHTTPServer(("", port) if port else ("127.0.0.1", 0), handler)
        self.server.daemon_threads = True

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.server.server_port)

    def answer(self, path: str, authorization: str) -> tuple[int, dict[str, Any]]:
        self.asked.append(path)
        if authorization != f"Bearer {TOKEN}":
            return 401, {"result": "error", "message": "Unauthorized"}
        if path != "/services/mqtt":
            return 404, {"result": "error", "message": "Not found"}
        if self.broker is None:
            return 400, {"result": "error", "message": "Service not enabled"}
        return 200, {"result": "ok", "data": self.broker}


class _Handler(BaseHTTPRequestHandler):
    supervisor: FakeSupervisor
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        status, said = self.supervisor.answer(self.path, self.headers.get("Authorization", ""))
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@contextmanager
def supervising(broker: dict[str, Any] | None = None) -> Iterator[FakeSupervisor]:
    """Answer in threads."""
    supervisor = FakeSupervisor(broker)
    thread = Thread(target=supervisor.server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield supervisor
    finally:
        supervisor.server.shutdown()
        thread.join()
        supervisor.server.server_close()


if __name__ == "__main__":
    FakeSupervisor(json.loads(sys.argv[1]) if sys.argv[1:] else None, 80).server.serve_forever()
