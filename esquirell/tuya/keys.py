"""Local keys from the cloud, for meters that refuse the configured one after a new pairing."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import SecretStr

from esquirell.domain.errors import MeterError
from esquirell.domain.meter import LOCAL_KEY_LENGTH, Meter
from esquirell.tuya.cloud import Cloud

log = logging.getLogger(__name__)

REFUSALS = 3

Read = Callable[[Meter], Mapping[str, Any]]


class CloudKeys:
    """Asks for the key of a meter once it has refused the present one three times in a row.

    The key is kept in memory alone: `esquirell meters sync` writes it where it belongs.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._keys: dict[tuple[str, SecretStr], SecretStr] = {}
        self._refusals: dict[str, int] = {}

    def read(self, meter: Meter, read: Read) -> Mapping[str, Any]:
        """Read a meter with the newest key that is known. Raises what `read` raises."""
        try:
            answer = read(self._with_key(meter))
        except MeterError as error:
            if error.code != "wrong_key" or not self._renewed(meter):
                raise
            answer = read(self._with_key(meter))
        self._refusals.pop(meter.name, None)
        return answer

    def _with_key(self, meter: Meter) -> Meter:
        # Another configured key is newer than what the cloud said of the last one.
        key = self._keys.get((meter.name, meter.local_key))
        return meter.model_copy(update={"local_key": key}) if key else meter

    def _renewed(self, meter: Meter) -> bool:
        """Count a refusal, and tell whether the cloud has another key by now."""
        self._refusals[meter.name] = self._refusals.get(meter.name, 0) + 1
        if self._refusals[meter.name] % REFUSALS:
            return False
        try:
            key = self._cloud.local_key(meter)
        except MeterError as error:
            log.warning("%s: its local key can't be asked for: %s", meter.name, error)
            return False
        present = self._with_key(meter).local_key.get_secret_value()
        if key == present or len(key) != LOCAL_KEY_LENGTH:
            return False
        log.warning("%s: the cloud lists another local key: esquirell meters sync", meter.name)
        self._keys[meter.name, meter.local_key] = SecretStr(key)
        return True
