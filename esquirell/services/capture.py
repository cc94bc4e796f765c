"""What a meter sends, for others to look at: raw, with nothing that names the device."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from esquirell.domain.decoding import Decoded
from esquirell.domain.device import Device
from esquirell.domain.meter import Meter
from esquirell.domain.profile import Profile
from esquirell.domain.raw_datapoints import Question, RawDatapoints
from esquirell.domain.redaction import redacted
from esquirell.domain.schedule import TASK_PREFIX

CAPTURE_TASK = TASK_PREFIX + "capture_meter"

_DESCRIBING = ("code", "type", "values")


class Describe(Protocol):
    """Looks up what is known of the device of a meter."""

    def __call__(self, meter: Meter) -> Device:
        """Describe it; empty when nothing is known."""
        ...


class OneReader(Protocol):
    """Asks one meter at a time."""

    def read(self, question: Question) -> RawDatapoints:
        """Ask it and wait. Raises MeterUnreachableError or MeterRejectedError."""
        ...


class Capture:
    """Takes captures in the shape that `esquirell profiles try` and the project's tests read.

    `profile_of` tells which DPs a meter has to be asked to refresh, `decode` what its answer means.
    """

    def __init__(
        self,
        transport: OneReader,
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

        `expected` is what the answer is taken to mean: to be compared with the meter's display.
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
    """Take of each datapoint what describes it."""
    return {
        name: {key: point[key] for key in _DESCRIBING if key in point}
        for name, point in points.items()
        if isinstance(point, Mapping)
    }


def _secrets(meter: Meter) -> tuple[str, ...]:
    key = meter.local_key.get_secret_value()
    address = "" if meter.address == "auto" else meter.address
    return (key, meter.device_id, meter.gateway, meter.cid, address)
