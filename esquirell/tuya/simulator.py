"""A simulated meter that answers on a real socket in the real Tuya LAN protocol."""

import json
import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping

from esquirell.tuya.lean import (
    DP_QUERY,
    DP_QUERY_NEW,
    HEART_BEAT,
    SESS_KEY_NEG_FINISH,
    SESS_KEY_NEG_RESP,
    SESS_KEY_NEG_START,
    UPDATEDPS,
    TuyaMessage,
)
from esquirell.tuya.wire import VERSIONS, ForeignFrameError, Wire, split

log = logging.getLogger(__name__)

SEND_S = 2.0
RECEIVE_BYTES = 4096


class SimulatedMeter:
    """A meter on the local network that measures what `dps` gives, served by one thread.

    It does as real devices do: while one client is connected, the connection of another is
    accepted and closed at once; a client that is silent for half a minute is disconnected;
    a frame made with another key or protocol is ignored with 3.3, and ends the connection
    with 3.4 and 3.5. It only measures: commands that switch something are not answered.
    `answers` counts the readings that were asked for.
    """

    idle_s = 30.0

    def __init__(
        self,
        device_id: str,
        local_key: str,
        version: str,
        dps: Callable[[], Mapping[str, object]],
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        if version not in VERSIONS:
            raise ValueError(f"a simulated meter speaks {', '.join(VERSIONS)}, not {version}")
        self.port = port
        self.answers = 0
        self._device_id = device_id
        self._key = local_key.encode("ascii")
        self._version = version
        self._dps = dps
        self._host = host
        self._client: _Client | None = None
        self._thread = threading.Thread(target=self._serve, name=f"meter-{device_id}", daemon=True)

    def start(self) -> None:
        """Listen and answer; `port` is the real one then. Raises OSError if it is taken."""
        self._listener = socket.create_server((self._host, self.port))
        self._listener.settimeout(0)
        self.port = self._listener.getsockname()[1]
        self._wake, self._woken = socket.socketpair()
        self._thread.start()

    def stop(self) -> None:
        """Disconnect and stop listening; not started is fine."""
        if self._thread.is_alive():
            self._wake.close()
            self._thread.join()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as self._selector, self._listener, self._woken:
            self._selector.register(self._listener, selectors.EVENT_READ)
            self._selector.register(self._woken, selectors.EVENT_READ)
            while self._turn():
                pass
            self._disconnect()

    def _turn(self) -> bool:
        """Wait for something to happen and deal with it; False when it is time to stop."""
        client = self._client
        left_s = None if client is None else max(client.idle_at - time.monotonic(), 0)
        ready = {key.fileobj for key, _ in self._selector.select(left_s)}
        if client is not None:
            # First, as a client may hang up and call again before we look.
            self._attend(client, waiting=client.socket in ready)
        if self._listener in ready:
            self._accept()
        return self._woken not in ready

    def _accept(self) -> None:
        try:
            caller, _ = self._listener.accept()
        except OSError:
            return  # who called has hung up already
        if self._client is not None:
            caller.close()
            return
        caller.settimeout(SEND_S)
        self._client = _Client(caller, Wire(self._version, self._key), self.idle_s)
        self._selector.register(caller, selectors.EVENT_READ)

    def _attend(self, client: "_Client", *, waiting: bool) -> None:
        if not waiting:
            if time.monotonic() >= client.idle_at:
                self._disconnect()
            return
        client.idle_at = time.monotonic() + self.idle_s
        try:
            for request in client.requests():
                self._answer(client, request)
        except (OSError, ForeignFrameError) as error:
            log.debug("the simulated meter %s hangs up: %s", self._device_id, error)
            self._disconnect()

    def _answer(self, client: "_Client", request: TuyaMessage) -> None:
        if request.cmd == SESS_KEY_NEG_START:
            proof = client.wire.begin_agreement(request.payload)
            client.send(request, SESS_KEY_NEG_RESP, proof)
        elif request.cmd == SESS_KEY_NEG_FINISH:
            client.wire.end_agreement(request.payload)
        elif not client.wire.agreed:
            raise ForeignFrameError("no session key was agreed on")
        elif request.cmd in (DP_QUERY, DP_QUERY_NEW):
            # Counted first: who has the answer may look at the count at once.
            self.answers += 1
            client.send(request, request.cmd, self._reading())
        elif request.cmd in (HEART_BEAT, UPDATEDPS):
            client.send(request, request.cmd, b"")

    def _reading(self) -> bytes:
        answer: dict[str, object] = {"dps": dict(self._dps())}
        if self._version == "3.3":
            answer = {"devId": self._device_id, **answer}
        return json.dumps(answer, separators=(",", ":")).encode()

    def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            self._selector.unregister(client.socket)
            client.socket.close()


class _Client:
    """One connected client, and what it sent so far."""

    def __init__(self, connection: socket.socket, wire: Wire, idle_s: float) -> None:
        self.socket = connection
        self.wire = wire
        self.idle_at = time.monotonic() + idle_s
        self._stream = b""

    def requests(self) -> Iterator[TuyaMessage]:
        """Give the requests that have just come, each opened with the key then in force.

        Raises OSError when the client hung up, and ForeignFrameError.
        """
        data = self.socket.recv(RECEIVE_BYTES)
        if not data:
            raise ConnectionError("the client hung up")
        frames, self._stream = split(self._stream + data)
        for frame in frames:
            try:
                request = self.wire.unpack(frame)
            except ForeignFrameError:
                if self.wire.version != "3.3":
                    raise
            else:
                yield request

    def send(self, request: TuyaMessage, command: int, payload: bytes) -> None:
        """Answer a request. Raises OSError."""
        self.socket.sendall(self.wire.pack(request, command, payload))
