"""Local keys from the cloud, for meters that refuse the configured one after a new pairing."""

import logging

from pydantic import SecretStr

from esquirell.domain.errors import MeterError
from esquirell.domain.meter import LOCAL_KEY_LENGTH, Meter
from esquirell.tuya.cloud.cloud import Cloud

log = logging.getLogger(__name__)

REFUSALS = 3


class CloudKeys:
    """Asks for the key of a meter once it has refused the present one three times in a row.

    The key is kept in memory alone: `esquirell meters sync` writes it where it belongs.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._keys: dict[tuple[str, SecretStr], SecretStr] = {}
        self._refusals: dict[str, int] = {}

    def with_key(self, meter: Meter) -> Meter:
        """Return a meter with the newest key that is known for it."""
        # Another configured key is newer than what the cloud said of the last one.
        key = self._keys.get((meter.name, meter.local_key))
        return meter.model_copy(update={"local_key": key}) if key else meter

    def worth_asking(self, meter: Meter, answer: object) -> bool:
        """Count refusals in a row; whether it is time to ask the cloud for another key."""
        if not isinstance(answer, MeterError):
            self._refusals.pop(meter.name, None)
        if not isinstance(answer, MeterError) or answer.code != "wrong_key":
            return False
        self._refusals[meter.name] = self._refusals.get(meter.name, 0) + 1
        return self._refusals[meter.name] % REFUSALS == 0

    def renewed(self, meter: Meter) -> bool:
        """Ask the cloud for the key; whether it is another one by now."""
        try:
            key = self._cloud.local_key(meter)
        except MeterError as error:
            log.warning("%s: its local key can't be asked for: %s", meter.name, error)
            return False
        present = self.with_key(meter).local_key.get_secret_value()
        if key == present or len(key) != LOCAL_KEY_LENGTH:
            return False
        log.warning("%s: the cloud lists another local key: esquirell meters sync", meter.name)
        self._keys[meter.name, meter.local_key] = SecretStr(key)
        return True
