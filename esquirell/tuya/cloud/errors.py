"""Explains the error codes of Tuya's cloud to users.

Codes: https://developer.tuya.com/en/docs/iot/error-code?id=K989ruxx88swc
"""

from typing import Any

from esquirell.domain.errors import MeterUnreachableError
from esquirell.domain.meter import Meter

TOKEN_EXPIRED = (1010, 1011)
"""The codes for which a new token helps."""

LONGEST_TEXT = 120

_SIGNED = "check api_key and api_secret under [cloud]"
_CHANGE_PLAN = "extend the plan of the project on the Tuya IoT platform, or read less often"
_MEANINGS = {
    1004: f"the signature is wrong: {_SIGNED}",
    1005: f"this api_key is unknown in this region: {_SIGNED}, and region",
    1010: "it refuses its own token: try again later",
    1011: "it refuses its own token: try again later",
    1013: "the clock of this machine is wrong: set it: sudo timedatectl set-ntp true",
    1106: "access is denied: link your app account to the project on the Tuya IoT platform, "
    "and check region and device_id",
    1109: "the request is invalid: check device_id",
    1114: "this machine's IP address is not allowed: add it to the project's IP allowlist",
    2001: "the device is offline: check its power and its Wi-Fi",
    2003: "the device is unknown: check device_id and region",
    2007: "this machine's IP address is not allowed: add it to the project's IP allowlist",
    2009: "the device is not supported: read it over the LAN",
    28841002: f"the plan of the project has expired: {_CHANGE_PLAN}",
    28841004: f"the quota of the project is used up: {_CHANGE_PLAN}",
    28841101: "the project is not subscribed to this API: add IoT Core to it on the Tuya IoT "
    "platform",
    28841105: "the project is not authorized for this API: add IoT Core to it on the Tuya IoT "
    "platform",
    28841106: "the project has no permission for this API: add IoT Core to it on the Tuya IoT "
    "platform",
    28841107: "the data center of this region is suspended for the project: set region to that "
    "of your app account, or enable it on the Tuya IoT platform",
    40000309: "there are too many requests: read cloud meters less often",
}


class RefusedError(MeterUnreachableError):
    """The cloud answered with an error; `number` is Tuya's code for it."""

    def __init__(self, number: int, sentence: str) -> None:
        super().__init__("cloud_error", sentence)
        self.number = number


class AwayError(MeterUnreachableError):
    """The cloud did not answer, or another server did; that may have taken seconds."""


def refused(answer: dict[str, Any]) -> RefusedError:
    """Return the error for an answer that reports one."""
    number = answer.get("code")
    number = number if isinstance(number, int) else 0
    text = " ".join(str(answer.get("msg", "no reason given")).split())[:LONGEST_TEXT]
    meaning = _MEANINGS.get(number, f"{text!r}: see Tuya's list of error codes")
    return RefusedError(number, f"the Tuya cloud refuses the request (code {number}): {meaning}")


def unreachable(host: str, reason: str) -> AwayError:
    """Return the error for a cloud that did not answer."""
    return AwayError(
        "cloud_error",
        f"the Tuya cloud at {host} can't be reached ({reason}): check the connection to the "
        "internet, and region or url under [cloud]",
    )


def nonsense(host: str, status: int) -> AwayError:
    """Return the error for an answer that is not the Tuya cloud's."""
    return AwayError(
        "cloud_error",
        f"{host} does not answer like the Tuya cloud (HTTP {status}): check region or url "
        "under [cloud]",
    )


def offline(meter: Meter) -> MeterUnreachableError:
    """Return the error for an offline device, of which the cloud has only old values."""
    return MeterUnreachableError(
        "cloud_error",
        f"the Tuya cloud reports {meter.name} as offline: check its power and its Wi-Fi",
    )


def without_values(meter: Meter) -> MeterUnreachableError:
    """Return the error for a device without values in the cloud."""
    return MeterUnreachableError(
        "cloud_error",
        f'the Tuya cloud has no values for {meter.name}: set transport = "local" for it',
    )


def strange(error: Exception) -> MeterUnreachableError:
    """Return the error for an answer of an unexpected shape."""
    return MeterUnreachableError(
        "cloud_error",
        f"the Tuya cloud sent an answer of an unknown shape ({type(error).__name__})",
    )
