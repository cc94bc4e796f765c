"""A TCP proxy on a loopback port that can stop forwarding, as a network does that drops packets."""

import contextlib
import socket
import threading
import time
from typing import Self

from support.waiting import LIMIT_S

CHUNK = 65536


class TcpProxy:
    """Forwards connections to a port; `hole` makes it swallow everything, `cut` closes all.

    While `hold` is set, nothing is taken from either side, so that their buffers fill.

    `target` may be set until the first connection. Each piece of data is `late_s` seconds under
    way, and `asked` counts those that clients have sent.
    """

    def __init__(self, target: int = 0, late_s: float = 0.0) -> None:
        self.target = target
        self.late_s = late_s
        self.asked = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._open = threading.Event()
        self._open.set()
        self._flows = threading.Event()
        self._flows.set()
        self._sockets: set[socket.socket] = set()
        self._clients: set[socket.socket] = set()
        self._forgotten: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.set()
        self._flows.set()
        # Closing alone does not wake a thread that accepts.
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()
        self._thread.join(LIMIT_S)

    def hole(self) -> None:
        """Keep the connections open and forward nothing more, neither way."""
        self._open.clear()

    def forget(self) -> None:
        """Forward nothing more over the present connections, as a router that forgot them."""
        self._forgotten |= self._sockets

    def hold(self) -> None:
        """Take nothing more from the connections until `flow`."""
        self._flows.clear()

    def flow(self) -> None:
        """Forward what waits, and all that follows."""
        self._flows.set()

    def mend(self) -> None:
        """Forward again what comes over new connections; the old ones are lost."""
        self.cut()
        self._open.set()

    def cut(self) -> None:
        """Close all connections."""
        for one in list(self._sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target), LIMIT_S)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            self._clients.add(client)
            self._sockets |= {client, server}
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._forward, args=(source, target), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                self.asked += source in self._clients
                time.sleep(self.late_s)
                self._flows.wait()
                if self._open.is_set() and source not in self._forgotten:
                    target.sendall(data)
        for one in (source, target):
            self._sockets.discard(one)
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        source.close()
