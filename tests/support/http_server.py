"""Servers that answer HTTP requests on loopback ports, as Tuya's clouds do."""

import threading
import time
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class LoopbackServer:
    """Answers at `url` from when it is entered until it is left."""

    def __init__(self) -> None:
        handler = type("Bound", (_Handler,), {"owner": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.02])
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def reply(self, method: str, target: str, headers: Message, body: bytes) -> tuple[int, bytes]:
        """Return the status and the body of the answer to a request."""
        raise NotImplementedError


class _Handler(BaseHTTPRequestHandler):
    owner: LoopbackServer

    def do_GET(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, body = self.owner.reply(self.command, self.path, self.headers, sent)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the name that the library calls

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def success(result: object) -> dict[str, Any]:
    """Return an answer of Tuya's that holds a result."""
    return {"success": True, "result": result, "t": int(time.time() * 1000)}


def failure(code: int, text: str) -> dict[str, Any]:
    """Return an answer of Tuya's that reports an error."""
    return {"success": False, "code": code, "msg": text, "t": int(time.time() * 1000)}
