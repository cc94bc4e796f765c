"""A broker on a real socket that does what a test says, also what no good broker does."""

import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

from support.waiting import LIMIT_S, eventually

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PING, PONG = 1, 2, 3, 4, 8, 9, 12, 13


@dataclass(frozen=True)
class Came:
    """A message that a client published."""

    topic: str
    payload: bytes
    retained: bool


@dataclass
class Client:
    """A client that is connected, and how it said that it is."""

    line: socket.socket
    level: int = 0
    name: str = ""
    clean: bool = False
    filters: list[str] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)

    @property
    def props(self) -> bytes:
        return b"\0" if self.level == 5 else b""

    def send(self, kind: int, body: bytes, flags: int = 0) -> None:
        self.line.sendall(bytes([kind << 4 | flags]) + _length(len(body)) + body)

    def publish(self, topic: str, payload: bytes, number: int, *, again: bool = False) -> None:
        body = _text(topic) + struct.pack(">H", number) + self.props + payload
        self.send(PUBLISH, body, 0b1010 if again else 0b0010)


class ScriptedBroker:
    """Serves clients; each attribute is something that a broker may do, or not do.

    `silent_levels` are protocol levels (4: MQTT 3.1.1, 5) whose CONNECT is never answered, and
    `refused_levels` those that are refused, `refused_filters` what nobody may subscribe to;
    `largest` cuts a client that sends more, `announced`
    is told beforehand (MQTT 5); without `confirms` nothing that is published is acknowledged, and
    without `subscribes` no subscription is answered.
    """

    def __init__(self) -> None:
        self.silent_levels: set[int] = set()
        self.refused_levels: set[int] = set()
        self.refused_filters: set[str] = set()
        self.subscribes = True
        self.largest: int | None = None
        self.announced: int | None = None
        self.confirms = True
        self.resumes = True
        self.came: list[Came] = []
        self.connects: list[Client] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for client in self.connects:
            _end(client.line)
        for thread in self._threads:
            thread.join(LIMIT_S)

    def client(self, name: str, *, after: int = 0) -> Client:
        """Wait for the client of a name; `after` so many connections of it."""

        def found() -> list[Client]:
            return [one for one in self.connects if one.name == name][after:]

        return eventually(found)[0]

    def saw(self, topic: str) -> Came:
        return eventually(lambda: [one for one in self.came if one.topic == topic])[0]

    def cut(self, client: Client) -> None:
        """End a connection as a broken network does."""
        client.line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        _end(client.line)

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments)  # type: ignore[arg-type] # ours
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._server.accept()
            except OSError:
                return
            self._start(self._serve, Client(line))

    def _serve(self, client: Client) -> None:
        try:
            while (packet := _packet(client.line)) is not None:
                kind, flags, body = packet
                if self.largest is not None and len(body) > self.largest:
                    break
                self._handle(client, kind, flags, body)
        except OSError:
            pass
        finally:
            client.line.close()

    def _handle(self, client: Client, kind: int, flags: int, body: bytes) -> None:
        if kind == CONNECT:
            self._connect(client, body)
        elif kind == SUBSCRIBE:
            self._subscribe(client, body)
        elif kind == PUBLISH:
            self._publish(client, flags, body)
        elif kind == PUBACK:
            client.acknowledged.append(struct.unpack(">H", body[:2])[0])
        elif kind == PING:
            client.send(PONG, b"")

    def _connect(self, client: Client, body: bytes) -> None:
        client.level, flags = body[6], body[7]
        rest = body[10:]
        if client.level == 5:
            rest = rest[1 + rest[0] :]
        size = struct.unpack(">H", rest[:2])[0]
        client.name, client.clean = rest[2 : 2 + size].decode(), bool(flags & 2)
        self.connects.append(client)
        if client.level in self.silent_levels:
            return
        if client.level in self.refused_levels:
            client.send(CONNACK, b"\x00\x84\x00" if client.level == 5 else b"\x00\x01")
            return
        resumed = bytes([self.resumes and not client.clean])
        props = b""
        if client.level == 5:
            limit = b"" if self.announced is None else b"\x27" + struct.pack(">I", self.announced)
            props = bytes([len(limit)]) + limit
        client.send(CONNACK, resumed + b"\x00" + props)

    def _subscribe(self, client: Client, body: bytes) -> None:
        at = 3 + body[2] if client.level == 5 else 2
        size = struct.unpack(">H", body[at : at + 2])[0]
        client.filters.append(body[at + 2 : at + 2 + size].decode())
        if not self.subscribes:
            return
        refused = client.filters[-1] in self.refused_filters
        client.send(SUBACK, body[:2] + client.props + (b"\x87" if refused else b"\x01"))

    def _publish(self, client: Client, flags: int, body: bytes) -> None:
        size = struct.unpack(">H", body[:2])[0]
        topic, rest = body[2 : 2 + size].decode(), body[2 + size :]
        number = b""
        if flags & 0b0110:
            number, rest = rest[:2], rest[2:]
        if client.level == 5:
            rest = rest[1 + rest[0] :]
        self.came.append(Came(topic, rest, bool(flags & 1)))
        if number and self.confirms:
            client.send(PUBACK, number)


def _packet(line: socket.socket) -> tuple[int, int, bytes] | None:
    first = line.recv(1)
    if not first:
        return None
    length = shift = 0
    while True:
        (byte,) = line.recv(1)
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            break
    body = b""
    while len(body) < length:
        part = line.recv(length - len(body))
        if not part:
            return None
        body += part
    return first[0] >> 4, first[0] & 15, body


def _length(number: int) -> bytes:
    out = b""
    while True:
        number, byte = number >> 7, number & 0x7F
        out += bytes([byte | (0x80 if number else 0)])
        if not number:
            return out


def _text(text: str) -> bytes:
    return struct.pack(">H", len(text.encode())) + text.encode()


def _end(line: socket.socket) -> None:
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
    line.close()
