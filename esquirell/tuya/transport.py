"""Reads each meter the way its settings say."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from esquirell.domain.meter import Meter
from esquirell.tuya.cloud import Cloud, NoCloud
from esquirell.tuya.finder import Finder
from esquirell.tuya.following import Follower
from esquirell.tuya.keys import CloudKeys
from esquirell.tuya.local import LocalTransport


class TuyaTransport:
    """Chooses between a fixed address, a search by the device id, and the cloud.

    With `keys`, a meter that refuses its local key is tried with that of the cloud.
    """

    def __init__(
        self,
        local: LocalTransport,
        finder: Finder,
        follower: Follower,
        cloud: Cloud | NoCloud,
        keys: CloudKeys | None = None,
    ) -> None:
        self._local = local
        self._finder = finder
        self._follower = follower
        self._cloud = cloud
        self._keys = keys

    def read(
        self, meter: Meter, refresh: tuple[int, ...] = (), *, forced: bool = False
    ) -> Mapping[str, Any]:
        """Ask a meter for its datapoints, by DP id; the cloud may know codes only.

        `refresh` lists DPs to ask for by UPDATEDPS first; `forced` ignores a cool-down.
        Raises MeterUnreachableError or MeterRejectedError.
        """
        if meter.transport == "cloud":
            return self._cloud.read(meter, forced=forced)
        way = self._follower if meter.address == "auto" else self._local
        read = partial(way.read, refresh=refresh, forced=forced)
        return self._keys.read(meter, read) if self._keys else read(meter)

    def forget(self, meter_name: str) -> None:
        """Drop the connection to a meter and what is remembered of its failures."""
        self._local.forget(meter_name)

    def close(self) -> None:
        """Break off the reads under way, close all connections and read no more."""
        self._finder.stop()
        self._local.close()
