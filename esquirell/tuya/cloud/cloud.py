"""Reads meters through Tuya's cloud, and asks it for newer local keys."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import SecretStr

from esquirell.domain.device import Device
from esquirell.domain.errors import MeterError
from esquirell.domain.meter import LOCAL_KEY_LENGTH, Meter
from esquirell.tuya.cloud.account import Account, Quota, RequestCount
from esquirell.tuya.cloud.errors import AwayError, offline, strange, without_values
from esquirell.tuya.device_files import DEVICES, Descriptions
from esquirell.tuya.lan.access import CoolDown
from esquirell.tuya.lan.network import DEFAULT_LIMITS

if TYPE_CHECKING:
    from esquirell.tuya.cloud.api import CloudApi

log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """A device as the cloud lists it, with its latest key."""

    device: Device
    local_key: str


class Cloud:
    """Reads the meters of one account, and keeps device descriptions in the state directory.

    After three requests in a row without an answer, whichever meter they were for, the cloud is
    left alone for a while: each of them may have taken seconds.
    """

    def __init__(self, account: Account, state_dir: Path, clock: Callable[[], datetime]) -> None:
        self._account = account
        self._quota = Quota(state_dir / "cloud-requests.json", account, clock)
        self._descriptions = Descriptions(state_dir / DEVICES)
        self._cooling = CoolDown(DEFAULT_LIMITS)
        self._lock = threading.Lock()
        self._made: CloudApi | None = None

    def read(self, meter: Meter, *, forced: bool = False) -> Mapping[str, Any]:
        """Return the values of a meter by DP id, or by code where the cloud lists no ids.

        Raises MeterUnreachableError (`cloud_error`).
        """
        with self._asking(forced=forced) as api:
            details = api.details(meter.device_id)
            if details.online and not details.values:
                details = details._replace(values=api.shadow(meter.device_id))
            device = self._known(meter, details.device, api) if details.online else None
        if device is None:
            raise offline(meter)
        if not details.values:
            raise without_values(meter)
        return _by_id(details.values, device)

    def local_key(self, meter: Meter) -> str:
        """Return the latest key of the device. Raises MeterUnreachableError."""
        with self._asking(forced=True) as api:
            return api.details(meter.lan_id).local_key

    def entry(self, meter: Meter) -> Entry:
        """Request a meter's current entry from the cloud. Raises MeterUnreachableError."""
        with self._asking(forced=True) as api:
            details = api.details(meter.device_id)
            return Entry(self._describe(meter, details.device, api), details.local_key)

    def devices(self) -> list[dict[str, Any]]:
        """List the devices of the account, keys included, as tinytuya's `devices.json` does.

        Raises MeterUnreachableError (`cloud_error`).
        """
        with self._asking(forced=True) as api:
            return api.listed()

    @cached_property
    def keys(self) -> "CloudKeys":
        """The keys that it lists for meters that refuse theirs."""
        return CloudKeys(self)

    def spent(self) -> RequestCount:
        """Return the requests of today and this month, of all processes."""
        return self._quota.spent()

    def _known(self, meter: Meter, product: Device, api: "CloudApi") -> Device:
        known = self._descriptions.get(meter.device_id)
        if known and known.product_id == product.product_id:
            return known
        return self._describe(meter, product, api)

    def _describe(self, meter: Meter, product: Device, api: "CloudApi") -> Device:
        device = api.described(meter.device_id, product)
        self._descriptions.put(meter.device_id, device)
        return device

    @contextmanager
    def _asking(self, *, forced: bool) -> Iterator["CloudApi"]:
        if not forced:
            self._cooling.check()
        try:
            yield self._api()
        except AwayError as error:
            self._cooling.failed(error)
            raise
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise strange(error) from error
        self._cooling.succeeded()

    def _api(self) -> "CloudApi":
        # tinytuya takes some 25 MiB: loaded only by processes that need it.
        from esquirell.tuya.cloud.api import CloudApi  # noqa: PLC0415

        with self._lock:
            if self._made is None:
                self._made = CloudApi(self._account, self._quota)
            return self._made


def _by_id(values: Mapping[str, Any], device: Device) -> dict[str, Any]:
    """Key values by DP id, as on the LAN, if all of them are known; otherwise keep the codes."""
    ids = {point["code"]: dp for dp, point in device.mapping.items()}
    if not all(name in ids for name in values):
        return dict(values)
    return {ids[code]: value for code, value in values.items()}


# After so many refused keys in a row the meter may have been paired again.
REFUSALS = 3


class CloudKeys:
    """Fetches the key of a meter from the cloud after it has refused the current one three times.

    The key is kept in memory only: `esquirell meters sync` writes it to the configuration.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._keys: dict[tuple[str, SecretStr], SecretStr] = {}
        self._refusals: dict[str, int] = {}

    def with_key(self, meter: Meter) -> Meter:
        """Return a meter with its newest known key."""
        # Another configured key is newer than the cloud's answer about the previous one.
        key = self._keys.get((meter.name, meter.local_key))
        return meter.model_copy(update={"local_key": key}) if key else meter

    def worth_asking(self, meter: Meter, answer: object) -> bool:
        """Count refusals in a row; return whether it is time to ask the cloud for another key."""
        if not isinstance(answer, MeterError):
            self._refusals.pop(meter.name, None)
        if not isinstance(answer, MeterError) or answer.code != "wrong_key":
            return False
        self._refusals[meter.name] = self._refusals.get(meter.name, 0) + 1
        return self._refusals[meter.name] % REFUSALS == 0

    def renewed(self, meter: Meter) -> bool:
        """Fetch the key from the cloud; return whether it is a new one."""
        try:
            key = self._cloud.local_key(meter)
        except MeterError as error:
            log.warning("%s: its local key can't be fetched from the cloud: %s", meter.name, error)
            return False
        present = self.with_key(meter).local_key.get_secret_value()
        if key == present or len(key) != LOCAL_KEY_LENGTH:
            return False
        log.warning(
            "%s: the cloud lists another local key, which is used from now on: "
            "save it with esquirell meters sync",
            meter.name,
        )
        self._keys[meter.name, meter.local_key] = SecretStr(key)
        return True
