"""A simulated meter that answers and reports on a real socket in the real Tuya LAN protocol."""

import hmac
import json
import logging
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping

from esquirell.tuya.lan.codec import (
    NONCE_BYTES,
    Codec,
    Frame,
    FrameBuffer,
    FrameError,
    proof_of,
    session_key,
)
from esquirell.tuya.tinytuya_import import (
    DP_QUERY,
    DP_QUERY_NEW,
    HEART_BEAT,
    SESS_KEY_NEG_FINISH,
    SESS_KEY_NEG_RESP,
    SESS_KEY_NEG_START,
    STATUS,
    UPDATEDPS,
)

log = logging.getLogger(__name__)

VERSIONS = ("3.3", "3.4", "3.5")
SEND_S = 2.0
RECEIVE_BYTES = 4096


class SimulatedMeter:
    """A meter on the local network that measures what `dps` returns, served by one thread.

    It behaves like real devices: while one client is connected, the connection of another is
    accepted and closed at once; a client that is silent for half a minute is disconnected; a frame
    with another key or protocol is ignored with 3.3, and ends the connection with 3.4 and 3.5.
    Every `report_s` seconds it reports changes, unless that is 0. It only measures: commands that
    switch something are not answered. `answers` counts the answered queries, `reports` the reports
    sent.
    """

    idle_s = 30.0

    def __init__(  # noqa: PLR0913 - a device has that many settings
        self,
        device_id: str,
        local_key: str,
        version: str,
        dps: Callable[[], Mapping[str, object]],
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        report_s: float = 0,
    ) -> None:
        if version not in VERSIONS:
            raise ValueError(f"a simulated meter speaks {', '.join(VERSIONS)}, not {version}")
        self.port = port
        self.answers = self.reports = 0
        self._device_id = device_id
        self._key = local_key.encode("ascii")
        self._version = version
        self._dps = dps
        self._host = host
        self._report_s = report_s
        self._client: _Client | None = None
        self._thread = threading.Thread(target=self._serve, name=f"meter-{device_id}", daemon=True)

    def start(self) -> None:
        """Start to listen and answer; sets the actual `port`. Raises OSError if it is taken."""
        self._listener = socket.create_server((self._host, self.port))
        self._listener.settimeout(0)
        self.port = self._listener.getsockname()[1]
        self._wake, self._woken = socket.socketpair()
        self._thread.start()

    def stop(self) -> None:
        """Disconnect and stop listening; does nothing if not started."""
        if self._thread.is_alive():
            self._wake.close()
            self._thread.join()

    @property
    def connected(self) -> bool:
        return self._client is not None

    def report(self) -> None:
        """Report changes now, from any thread; does nothing without a client."""
        self._wake.send(b"\0")

    def _serve(self) -> None:
        with selectors.DefaultSelector() as self._selector, self._listener, self._woken:
            self._selector.register(self._listener, selectors.EVENT_READ)
            self._selector.register(self._woken, selectors.EVENT_READ)
            while self._turn():
                pass
            self._disconnect()

    def _turn(self) -> bool:
        """Wait for an event and handle it; return False when it is time to stop."""
        client = self._client
        moment = None if client is None else min(client.idle_at, client.report_at)
        left_s = None if moment is None else max(moment - time.monotonic(), 0)
        ready = {key.fileobj for key, _ in self._selector.select(left_s)}
        if client is not None:
            # First, as a client may disconnect and reconnect before we look.
            self._attend(client, waiting=client.socket in ready)
        if self._listener in ready:
            self._accept()
        if self._woken in ready:
            if not self._woken.recv(RECEIVE_BYTES):
                return False
            self._report()
        return True

    def _accept(self) -> None:
        try:
            caller, _ = self._listener.accept()
        except OSError:
            return  # the client has disconnected already
        if self._client is not None:
            caller.close()
            return
        caller.settimeout(SEND_S)
        codec = Codec(self._version, self._key)
        self._client = _Client(caller, codec, self.idle_s, self._report_s)
        self._selector.register(caller, selectors.EVENT_READ)

    def _attend(self, client: "_Client", *, waiting: bool) -> None:
        now = time.monotonic()
        if now >= client.report_at:
            client.report_at = now + self._report_s
            self._report()
        if not waiting:
            if now >= client.idle_at:
                self._disconnect()
            return
        client.idle_at = now + self.idle_s
        try:
            for request in client.requests():
                self._answer(client, request)
        except (OSError, FrameError) as error:
            log.debug("the simulated meter %s closes the connection: %s", self._device_id, error)
            self._disconnect()

    def _answer(self, client: "_Client", request: Frame) -> None:
        if request.command in (SESS_KEY_NEG_START, SESS_KEY_NEG_FINISH):
            client.agree(request, self._key)
        elif not client.agreed:
            raise FrameError
        elif request.command in (DP_QUERY, DP_QUERY_NEW):
            # Counted first: the client may check the count as soon as it has the answer.
            self.answers += 1
            client.said = dict(self._dps())
            client.send(request.command, self._said(client.said), request.sequence)
        elif request.command in (HEART_BEAT, UPDATEDPS):
            client.send(request.command, b"", request.sequence)

    def _report(self) -> None:
        client = self._client
        if client is None or not client.agreed:
            return
        measured = self._dps()
        changed = {
            name: measured[name] for name in measured if measured[name] != client.said.get(name)
        }
        if not changed:
            return
        client.said |= changed
        self.reports += 1
        try:
            client.send(STATUS, self._said(changed))
        except OSError:
            self._disconnect()

    def _said(self, dps: Mapping[str, object]) -> bytes:
        said: dict[str, object] = {"dps": dps}
        if self._version == "3.3":
            said = {"devId": self._device_id, **said}
        return json.dumps(said, separators=(",", ":")).encode()

    def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            self._selector.unregister(client.socket)
            client.socket.close()


class _Client:
    """One connected client, its unread bytes, and the datapoints it was last sent (`said`)."""

    def __init__(
        self, connection: socket.socket, codec: Codec, idle_s: float, report_s: float
    ) -> None:
        now = time.monotonic()
        self.socket = connection
        self.agreed = codec.version == "3.3"
        self.idle_at = now + idle_s
        self.report_at = now + report_s if report_s else float("inf")
        self.said: dict[str, object] = {}
        self._codec = codec
        self._frames = FrameBuffer()
        self._nonce = os.urandom(NONCE_BYTES)
        self._peer_nonce = b""
        self._sent = 0

    def requests(self) -> Iterator[Frame]:
        """Return the requests that have just arrived, each decrypted with its current key.

        Raises OSError when the client disconnected, and FrameError.
        """
        data = self.socket.recv(RECEIVE_BYTES)
        if not data:
            raise ConnectionError("the client disconnected")
        frames = self._frames.feed(data)
        if self._frames.skipped:
            raise ConnectionError("the client sent something other than a frame")
        for frame in frames:
            try:
                request = self._codec.unpack(frame)
            except FrameError:
                if self._codec.version != "3.3":
                    raise
            else:
                yield request

    def send(self, command: int, payload: bytes, sequence: int | None = None) -> None:
        """Answer the request with this number, or send a report. Raises OSError."""
        self._sent += 1
        # Devices with 3.5 count their own frames; older ones repeat the request's number.
        counts = sequence is None or self._codec.version == "3.5"
        number = self._sent if sequence is None or counts else sequence
        self.socket.sendall(self._codec.pack(command, payload, number, answers=True))

    def agree(self, request: Frame, local_key: bytes) -> None:
        """Negotiate a session key, in two steps. Raises FrameError and OSError."""
        if request.command == SESS_KEY_NEG_START and len(request.payload) == NONCE_BYTES:
            self._peer_nonce = request.payload
            answer = self._nonce + proof_of(local_key, self._peer_nonce)
            self.send(SESS_KEY_NEG_RESP, answer, request.sequence)
        elif self._peer_nonce and hmac.compare_digest(
            request.payload, proof_of(local_key, self._nonce)
        ):
            key = session_key(self._codec.version, local_key, self._peer_nonce, self._nonce)
            self._codec.use(key)
            self.agreed = True
        else:
            raise FrameError
