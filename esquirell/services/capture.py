"""A meter's raw datapoints for a bug report, without anything that identifies the device."""

import base64
import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

from esquirell.domain.decoding import Decoded
from esquirell.domain.device import Device
from esquirell.domain.meter import Meter
from esquirell.domain.profile import Profile
from esquirell.domain.raw_datapoints import Question, RawDatapoints
from esquirell.domain.schedule import TASK_PREFIX

CAPTURE_TASK = TASK_PREFIX + "capture_meter"

_DESCRIBING = ("code", "type", "values")
REDACTED = "redacted"

# Larger numbers are no measurements: serial numbers, times in milliseconds.
_LARGEST = 10**10
_FRAME_BYTES = 4
# Codes of identifiers: meter_id, breaker_number, imei_imsi, sn.
_NAMING_CODE = re.compile(
    r"(^|_)(id|sn|number|name|serial\w*|imei\w*|imsi|iccid|mac|ssid|ip|token|key|password|pwd|"
    r"phone|user\w*|card\w*)(_|$)"
)
# Enumeration values: letters, with up to two digits if short or lower case.
_WORD = re.compile(
    r"[A-Za-z_ ]{1,32}|(?!(.*\d){3})([A-Za-z0-9_ .:+-]{1,12}|[a-z0-9_]{1,24})", re.ASCII
)
_DIGITS = re.compile(r"[0-9A-Fa-f]+")
_HEX_FRAME = re.compile(r"0[12]0F([0-9A-F]{2}){15,16}", re.IGNORECASE)
_TEXT = re.compile(rb"[\x20-\x7e]+")


Describe = Callable[[Meter], Device]
"""Looks up what is known about a meter's device; empty when nothing is."""


class SingleReader(Protocol):
    """Reads one meter at a time."""

    def read(self, question: Question) -> RawDatapoints:
        """Read it and wait. Raises MeterUnreachableError or MeterRejectedError."""


class Capture:
    """Takes captures in the shape that `esquirell profiles try` and the project's tests read.

    `profile_of` returns the profile with the DPs to refresh, `decode` decodes the answer.
    """

    def __init__(
        self,
        transport: SingleReader,
        describe: Describe,
        profile_of: Callable[[Meter], Profile],
        decode: Callable[[Meter, Mapping[str, Any]], Decoded],
        version: str,
    ) -> None:
        self._transport = transport
        self._describe = describe
        self._profile_of = profile_of
        self._decode = decode
        self._version = version

    def take(self, meter: Meter) -> dict[str, Any]:
        """Read a meter and return what it sent, by DP id as `dps` or by code as `status`.

        `expected` are the decoded values, to be compared with the meter's display.
        Raises MeterUnreachableError, MeterRejectedError or ConfigError.
        """
        question = Question(meter, self._profile_of(meter).refresh, forced=True)
        answer = self._transport.read(question).values
        device = self._describe(meter)
        values = redacted(answer, device.mapping, _secrets(meter))
        by_id = all(name.isdecimal() for name in answer)
        return {
            "esquirell": self._version,
            "product_id": device.product_id or meter.product_id,
            "category": device.category,
            "product_name": device.product_name,
            "protocol": None if meter.protocol == "auto" else meter.protocol,
            "mapping": _points(device.mapping),
            "spec": _points(device.spec),
            ("dps" if by_id else "status"): values,
            "expected": dict(self._decode(meter, answer).values),
        }


def _points(points: Mapping[str, Any]) -> dict[str, Any]:
    """Return the description of each datapoint."""
    return {
        name: {key: point[key] for key in _DESCRIBING if key in point}
        for name, point in points.items()
        if isinstance(point, Mapping)
    }


def _secrets(meter: Meter) -> tuple[str, ...]:
    key = meter.local_key.get_secret_value()
    address = "" if meter.address == "auto" else meter.address
    return (key, meter.device_id, meter.gateway, meter.cid, address)


def redacted(
    dps: Mapping[str, Any], mapping: Mapping[str, Any], secrets: Collection[str]
) -> dict[str, Any]:
    """Replace raw DPs that may be a serial number, an address or one of `secrets`.

    Numbers, words of an enumeration and packed frames stay; any other text is removed.
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
    """Return whether a text is a packed frame: binary in base64, or a known frame in hex."""
    if _HEX_FRAME.fullmatch(text):
        return True
    if _DIGITS.fullmatch(text):
        return False
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return False
    # Small numbers in wide fields contain zero bytes; serial numbers in text do not.
    packed = b"\0" in data or data[1:2] == b"\x0f"
    return len(data) >= _FRAME_BYTES and packed and not _TEXT.fullmatch(data)
