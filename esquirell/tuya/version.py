"""Which protocol a device speaks, as far as its frames betray it."""

import struct

from esquirell.tuya.lean import (
    PREFIX_55AA_BIN,
    PREFIX_6699_BIN,
    DecodeError,
    TuyaMessage,
    parse_header,
    unpack_message,
)

SEARCH_ORDER = ("3.3", "3.4", "3.5", "3.1")
"""In which order to try protocols on an unknown device.

Devices with 3.4 and 3.5 close the connection at once on a frame of 3.3, so that 3.3 first
costs the least time; 3.1 is rare by now. 3.2 names itself in its answers to 3.3.
"""

_NAMED_IN_CLEAR = ("3.1", "3.2", "3.3")


def betrayed(heard: bytes, asked: str) -> str | None:
    """Tell by the first frame in `heard` which protocol the device speaks, None if unclear.

    Frames of 3.5 have a prefix of their own; those of 3.4 are signed where older ones carry
    a CRC-32; older ones may name their version in clear before the payload. Only 3.1 answers
    in clear text. Layouts: tinytuya.core.message_helper.
    """
    if heard.startswith(PREFIX_6699_BIN):
        return "3.5"
    if not heard.startswith(PREFIX_55AA_BIN):
        return None
    try:
        message = _first_frame(heard)
    except (DecodeError, struct.error):
        return None
    return _of_payload(message.payload, asked) if message.crc_good else "3.4"


def _of_payload(payload: bytes, asked: str) -> str | None:
    for version in _NAMED_IN_CLEAR:
        if payload.startswith(version.encode()):
            return version
    if payload and payload.isascii():
        return None if asked == "3.1" else "3.1"
    return asked if asked in {"3.2", "3.3"} else "3.3"


def _first_frame(data: bytes) -> TuyaMessage:
    header = parse_header(data)
    return unpack_message(data[: header.total_length], header=header)
