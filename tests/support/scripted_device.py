"""A device on a real socket whose habits are chosen, and who listens to what it reports."""

import itertools
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from support.tuya_devices import KEY, a_meter

from esquirell.domain.meter import Meter
from esquirell.domain.raw_datapoints import RawDatapoints
from esquirell.tuya.lan.codec import Codec, FrameBuffer, FrameError, header_of
from esquirell.tuya.tinytuya_import import DP_QUERY, HEART_BEAT, STATUS

DPS = {"1": True, "18": 5}


@dataclass(frozen=True, kw_only=True)
class Habits:
    """What a device does; `sequence` is the number of all its frames, if it has one."""

    closes_after_answer: bool = False
    closes_on_heartbeat: int = 0
    ignores_heartbeats: bool = False
    one_client: bool = False
    reports_only: Mapping[str, Any] | None = None
    sequence: int | None = None
    port: int = 0


class Scripted:
    """A 3.3 device whose habits are chosen; counts what it sees.

    Not `awake` it says nothing. `key` may change, as when it is paired with another account.
    """

    def __init__(self, habits: Habits) -> None:
        self.connections = self.heartbeats = self.queries = self._serving = 0
        self.awake, self.key, self.dps = True, KEY, dict(DPS)
        self._habits = habits
        self._numbers = itertools.count(1)
        self._clients: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", habits.port))
        self.port = int(self._server.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def meter(self) -> Meter:
        return a_meter(self.port)

    def close(self) -> None:
        for end in (self._server, *self._clients):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in (self._server, *self._clients):
            end.close()

    @property
    def is_connected(self) -> bool:
        return self._serving > 0

    def frame(self, command: int, dps: Mapping[str, Any], **more: object) -> bytes:
        """Build a frame that says these datapoints."""
        said = json.dumps({"dps": dps} | more).encode()
        return self._pack(command, said)

    def report(self, dps: Mapping[str, Any], **more: object) -> None:
        self.send(self.frame(STATUS, dps, **more))

    def send(self, data: bytes) -> None:
        self._clients[-1].sendall(data)

    def disconnect(self) -> None:
        for client in self._clients:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def _pack(self, command: int, said: bytes) -> bytes:
        number = next(self._numbers) if self._habits.sequence is None else self._habits.sequence
        return Codec("3.3", self.key.encode()).pack(command, said, number, answers=True)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                self.connections += 1
                if self._habits.one_client:
                    self.disconnect()
                self._clients.append(client)
                thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        frames, beats = FrameBuffer(), itertools.count(1)
        with self._serves(), suppress(OSError):
            while data := client.recv(4096):
                for frame in frames.feed(data):
                    command = header_of(frame).cmd
                    if command == DP_QUERY:
                        self._asked(client, frame)
                    elif command == HEART_BEAT:
                        self._beat(client, next(beats))

    @contextmanager
    def _serves(self) -> Iterator[None]:
        self._serving += 1
        try:
            yield
        finally:
            self._serving -= 1

    def _beat(self, client: socket.socket, number: int) -> None:
        self.heartbeats += 1
        if number == self._habits.closes_on_heartbeat:
            client.shutdown(socket.SHUT_RDWR)
        elif self.awake and not self._habits.ignores_heartbeats:
            client.sendall(self._pack(HEART_BEAT, b""))

    def _asked(self, client: socket.socket, frame: bytes) -> None:
        """Answer, unless it is asleep or the question was sealed with another key."""
        self.queries += 1
        try:
            Codec("3.3", self.key.encode()).unpack(frame)
        except FrameError:
            return
        if not self.awake:
            return
        client.sendall(self.frame(DP_QUERY, self.dps))
        if self._habits.reports_only:
            client.sendall(self.frame(STATUS, self._habits.reports_only))
        if self._habits.closes_after_answer:
            client.shutdown(socket.SHUT_RDWR)


@contextmanager
def scripted(**habits: Any) -> Iterator[Scripted]:  # noqa: ANN401 - as Habits takes them
    device = Scripted(Habits(**habits))
    try:
        yield device
    finally:
        device.close()


class Ear:
    """Notes what is reported, and the events of lines."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        self.heard: list[RawDatapoints] = []

    def reported(self, meter: Meter, heard: RawDatapoints) -> None:
        del meter
        self.heard.append(heard)

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        self.events.append((kind, data))

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.events]

    @property
    def last(self) -> Mapping[str, Any]:
        return self.heard[-1].values if self.heard else {}
