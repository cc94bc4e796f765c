"""Decodes the text from a device or the cloud to the bytes of a frame."""

import base64
import binascii
import string

from esquirell.domain.errors import DecodeError

LONGEST_TEXT = 1024
_HEX = frozenset(string.hexdigits)
_SHORTEST_HEX = 12


def octets(raw: object, *, hexadecimal: bool = False) -> bytes:
    """Decode base64 or hex text into bytes; `hexadecimal`: prefer hex if both are possible.

    Hex that starts with 0 or 1, as a header or a voltage does, is always recognised: decoded as
    base64 its first byte would be D0 or more, with which no frame starts. Raises DecodeError, also
    for empty text.
    """
    if not isinstance(raw, str):
        raise DecodeError(f"expected a packed frame, got {type(raw).__name__}")
    text = raw.strip()
    if len(text) > LONGEST_TEXT:
        raise DecodeError(f"a text of {len(text)} characters is not a packed frame")
    starts_small = len(text) >= _SHORTEST_HEX and text[0] in "01"
    if len(text) % 2 == 0 and _HEX.issuperset(text) and (hexadecimal or starts_small):
        return bytes.fromhex(text)
    return _base64(text)


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise DecodeError("neither base64 nor hex") from None


def number(frame: bytes, start: int, end: int) -> int:
    """Read the unsigned big-endian number in `frame[start:end]`."""
    return int.from_bytes(frame[start:end])


def signed_little(frame: bytes, start: int) -> int:
    """Read the signed little-endian number of four bytes at `start`."""
    return int.from_bytes(frame[start : start + 4], "little", signed=True)
