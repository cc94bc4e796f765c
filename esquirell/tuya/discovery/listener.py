"""Listens for the broadcasts of Tuya devices on the LAN."""

import ipaddress
import json
import re
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Self, get_args

from esquirell.domain.errors import UnavailableError
from esquirell.domain.meter import ProtocolVersion
from esquirell.domain.record import record
from esquirell.tuya.tinytuya_import import (
    PREFIX_6699_VALUE,
    REQ_DEVINFO,
    TuyaMessage,
    decrypt_udp,
    pack_message,
    udpkey,
)

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PRODUCT = re.compile(r"[A-Za-z0-9_-]{0,64}")


@record
class Announcement:
    """A broadcast from a device; `protocol` and `product_id` are empty if it does not name them."""

    device_id: str
    address: str
    protocol: str = ""
    product_id: str = ""


def parse(packet: bytes, sender: str) -> Announcement | None:
    """Parse a broadcast; return None if it is not from a device, as anyone may send anything.

    Devices with 3.1 send plain text; later ones encrypt with one key for all; 3.5 also uses its
    own frames. Layouts: tinytuya.core.udp_helper.
    """
    said = _opened(packet)
    device_id = _text(said, "gwId", _ID)
    if not device_id:
        return None
    return Announcement(
        device_id,
        _address(said.get("ip"), sender),
        _protocol(said.get("version")),
        _text(said, "productKey", _PRODUCT),
    )


def request(address: str) -> bytes:
    """Build the request to which devices with 3.5 reply by announcing themselves to `address`."""
    payload = json.dumps({"from": "app", "ip": address}).encode()
    message = TuyaMessage(
        seqno=0,
        cmd=REQ_DEVINFO,
        retcode=None,
        payload=payload,
        crc=0,
        crc_good=True,
        prefix=PREFIX_6699_VALUE,
        iv=True,
    )
    return bytes(pack_message(message, hmac_key=udpkey))


def _opened(packet: bytes) -> dict[str, Any]:
    try:
        text = decrypt_udp(packet)
        said = json.loads(text[text.index("{") :])  # some 3.5 devices send a return code before it
    except Exception:  # noqa: BLE001 - tinytuya and its ciphers raise of everything on strange bytes
        return {}
    return said if isinstance(said, dict) else {}


def _text(said: dict[str, Any], key: str, form: re.Pattern[str]) -> str:
    value = said.get(key)
    return value if isinstance(value, str) and form.fullmatch(value) else ""


def _address(told: object, sender: str) -> str:
    """Return the address in the broadcast, as a relay between networks is another sender."""
    try:
        return str(ipaddress.IPv4Address(told)) if isinstance(told, str) else sender
    except ValueError:
        return sender


def _protocol(told: object) -> str:
    versions = (version for version in get_args(ProtocolVersion) if version != "auto")
    return next((version for version in versions if version == str(told)), "")


EVERYONE = "255.255.255.255"
ASK_EVERY_S = 3.0
LOOK_S = 0.2
LONGEST_PACKET = 4096


@record
class Ports:
    """The UDP ports: 3.1 in plain text, later ones encrypted, and 3.5 on request."""

    plain: int = 6666
    encrypted: int = 6667
    app: int = 7000

    @property
    def all(self) -> tuple[int, ...]:
        return (self.plain, self.encrypted, self.app)


PORTS = Ports()


class Listener:
    """Hears devices; several listeners, also of other programs, may share the ports.

    `blocked` has the reason for each port that can't be listened on.
    """

    def __init__(self, ports: Ports = PORTS, everyone: str = EVERYONE) -> None:
        self.ports = ports
        self.blocked: dict[int, str] = {}
        self._everyone = everyone
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Self:
        """Open the ports. Raises UnavailableError when none can be opened."""
        for port in self.ports.all:
            self._open(port)
        if not self._selector.get_map():
            self.__exit__()
            raise UnavailableError(self.trouble)
        return self

    def __exit__(self, *_: object) -> None:
        for key in list(self._selector.get_map().values()):
            self._selector.unregister(key.fileobj)
            key.data.close()
        self._selector.close()

    @property
    def trouble(self) -> str:
        """Return which ports can't be listened on; empty if none."""
        if not self.blocked:
            return ""
        ports = ", ".join(str(port) for port in self.blocked)
        reason = next(iter(self.blocked.values()))
        return (
            f"UDP {ports} can't be opened ({reason}): stop the other program that uses it, "
            "or set address to the meter's IP address"
        )

    def listen(self, seconds: float, stop: threading.Event) -> Iterator[Announcement | None]:
        """Yield each announcement, and None now and then so that the caller can do other work.

        A device is yielded every time it announces itself.
        """
        end = time.monotonic() + seconds
        ask_at = 0.0
        while (now := time.monotonic()) < end and not stop.is_set():
            if now >= ask_at:
                self._ask()
                ask_at = now + ASK_EVERY_S
            for key, _ in self._selector.select(min(LOOK_S, end - now)):
                yield _received(key.data)
            yield None

    def _open(self, port: int) -> None:
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            receiver.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            receiver.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            receiver.bind(("", port))
        except OSError as error:
            self.blocked[port] = error.strerror or str(error)
            receiver.close()
            return
        receiver.settimeout(0)
        self._selector.register(receiver, selectors.EVENT_READ, receiver)

    def _ask(self) -> None:
        """Ask devices with 3.5 to announce themselves; does nothing without a network."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth, suppress(OSError):
            mouth.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            mouth.connect((self._everyone, self.ports.app))
            mouth.send(request(mouth.getsockname()[0]))


def _received(receiver: socket.socket) -> Announcement | None:
    try:
        packet, sender = receiver.recvfrom(LONGEST_PACKET)
    except OSError:
        return None
    return parse(packet, sender[0])
