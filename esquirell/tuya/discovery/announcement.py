"""What a Tuya device tells the whole LAN about itself, every few seconds."""

import ipaddress
import json
import re
from dataclasses import dataclass
from typing import Any, get_args

from esquirell.domain.meter import ProtocolVersion
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


@dataclass(frozen=True, slots=True)
class Announcement:
    """A device that was heard; `protocol` and `product_id` are empty where it does not say."""

    device_id: str
    address: str
    protocol: str = ""
    product_id: str = ""


def parse(packet: bytes, sender: str) -> Announcement | None:
    """Read a broadcast; None when it is none of a device, as anyone may send anything.

    Devices with 3.1 speak in clear, others encrypt with a key that is the same for all, 3.5 in
    frames of its own. Layouts: tinytuya.core.udp_helper.
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
    """Build the request on which devices with 3.5 announce themselves to `address`."""
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
    """Take the address that it tells, as a relay between networks is another sender."""
    try:
        return str(ipaddress.IPv4Address(told)) if isinstance(told, str) else sender
    except ValueError:
        return sender


def _protocol(told: object) -> str:
    versions = (version for version in get_args(ProtocolVersion) if version != "auto")
    return next((version for version in versions if version == str(told)), "")
