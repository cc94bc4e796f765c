"""Raw datapoints as others may see them: measurements stay, what names a device goes."""

import base64
import json
import re
from collections.abc import Collection, Mapping
from typing import Any

REDACTED = "redacted"

# No datapoint measures this much; serial numbers and times in milliseconds are longer.
_LARGEST = 10**10
_FRAME_BYTES = 4
# Names of what identifies a device or its owner: meter_id, breaker_number, imei_imsi, sn.
_NAMING_CODE = re.compile(
    r"(^|_)(id|sn|number|name|serial\w*|imei\w*|imsi|iccid|mac|ssid|ip|token|key|password|pwd|"
    r"phone|user\w*|card\w*)(_|$)"
)
# Of an enumeration: letters, and up to two digits in something short or without capitals.
_WORD = re.compile(
    r"[A-Za-z_ ]{1,32}|(?!(.*\d){3})([A-Za-z0-9_ .:+-]{1,12}|[a-z0-9_]{1,24})", re.ASCII
)
_DIGITS = re.compile(r"[0-9A-Fa-f]+")
_HEX_FRAME = re.compile(r"0[12]0F([0-9A-F]{2}){15,16}", re.IGNORECASE)
_TEXT = re.compile(rb"[\x20-\x7e]+")


def redacted(
    dps: Mapping[str, Any], mapping: Mapping[str, Any], secrets: Collection[str]
) -> dict[str, Any]:
    """Take out of raw DPs what is or may be a serial number, an address or one of `secrets`.

    Numbers, words of an enumeration and packed frames stay; in doubt a text goes.
    """
    hidden = tuple(secret.lower() for secret in secrets if secret)
    return {dp: _redacted(raw, _code(dp, mapping), hidden) for dp, raw in dps.items()}


def _code(dp: str, mapping: Mapping[str, Any]) -> str:
    point = mapping.get(dp)
    return str(point.get("code", dp)) if isinstance(point, Mapping) else dp


def _redacted(raw: object, code: str, secrets: tuple[str, ...]) -> object:
    if raw is None or isinstance(raw, bool | float):
        return raw
    if isinstance(raw, int):
        return raw if abs(raw) < _LARGEST else REDACTED
    if isinstance(raw, dict):
        return {key: _redacted(value, str(key), secrets) for key, value in raw.items()}
    if isinstance(raw, list):
        return [_redacted(value, code, secrets) for value in raw]
    return raw if isinstance(raw, str) and _harmless(raw, code, secrets) else REDACTED


def _harmless(text: str, code: str, secrets: tuple[str, ...]) -> bool:
    if text == "":
        return True
    if _NAMING_CODE.search(code.lower()) or any(secret in text.lower() for secret in secrets):
        return False
    if text[0] in "{[":
        return _harmless_json(text, code, secrets)
    return bool(_WORD.fullmatch(text)) or _is_frame(text)


def _harmless_json(text: str, code: str, secrets: tuple[str, ...]) -> bool:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return bool(_redacted(content, code, secrets) == content)


def _is_frame(text: str) -> bool:
    """Return whether a text is a packed frame: binary in base64, or one of the frames in hex."""
    if _HEX_FRAME.fullmatch(text):
        return True
    if _DIGITS.fullmatch(text):
        return False
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return False
    # Small numbers in wide fields leave bytes of zero, which serial numbers in text have not.
    packed = b"\0" in data or data[1:2] == b"\x0f"
    return len(data) >= _FRAME_BYTES and packed and not _TEXT.fullmatch(data)
