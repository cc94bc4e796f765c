"""Devices that announce themselves over UDP on loopback, in real packets."""

import json
import socket
import threading
import time
from contextlib import suppress
from typing import Any, Self

from tinytuya.core import (
    PREFIX_55AA_VALUE,
    PREFIX_6699_VALUE,
    UDP_NEW,
    AESCipher,
    TuyaMessage,
    decrypt_udp,
    pack_message,
    udpkey,
)

from esquirell.tuya.discovery.listener import Listener, Ports

EVERY_S = 0.05
RETCODE = bytes(4)
LOOPBACK = "127.255.255.255"


def free_ports() -> Ports:
    """Find free UDP ports."""
    taken = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
    for one in taken:
        one.bind(("", 0))
    ports = [int(one.getsockname()[1]) for one in taken]
    for one in taken:
        one.close()
    return Ports(*ports)


def listener(ports: Ports) -> Listener:
    """Make a listener that asks on loopback."""
    return Listener(ports, LOOPBACK)


def packet(version: str, said: dict[str, Any] | bytes) -> bytes:
    """Build a broadcast of a device that speaks `version`."""
    payload = said if isinstance(said, bytes) else json.dumps(said).encode()
    prefix = PREFIX_6699_VALUE if version == "3.5" else PREFIX_55AA_VALUE
    if version in {"3.3", "3.4"}:
        payload = AESCipher(udpkey).encrypt(payload, use_base64=False)
    if version != "3.5":
        payload = RETCODE + payload
    message = TuyaMessage(0, UDP_NEW, 0, payload, 0, crc_good=True, prefix=prefix, iv=True)
    key = udpkey if version == "3.5" else None
    return bytes(pack_message(message, hmac_key=key))


class Broadcaster:
    """One device that announces itself again and again, 3.5 only to those who ask."""

    def __init__(
        self,
        ports: Ports,
        device_id: str,
        version: str = "3.3",
        *,
        address: str = "127.0.0.1",
        product: str = "gqmmtjclqb7reg5p",
    ) -> None:
        self.address = address
        self._ports = ports
        self._version = version
        self._said = {"gwId": device_id, "version": version, "productKey": product}
        self._stop = threading.Event()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if self._version == "3.5":
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            self._socket.bind((LOOPBACK, self._ports.app))
            self._socket.settimeout(EVERY_S)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            if self._version != "3.5":
                port = self._ports.plain if self._version == "3.1" else self._ports.encrypted
                self._announce((LOOPBACK, port))
                time.sleep(EVERY_S)
                continue
            with suppress(TimeoutError):
                self._answer(self._socket.recv(4096))

    def _answer(self, request: bytes) -> None:
        asked = json.loads(decrypt_udp(request))
        if asked.get("from") == "app":
            self._announce(
                (LOOPBACK if asked["ip"] == "127.0.0.1" else asked["ip"], self._ports.app)
            )

    def _announce(self, to: tuple[str, int]) -> None:
        said = self._said | {"ip": self.address}
        self._socket.sendto(packet(self._version, said), to)
