"""Reads meters over the local network, at the addresses that they are configured with."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esquirell.domain.errors import ConfigError
from esquirell.domain.meter import Meter
from esquirell.tuya.errors import stopped
from esquirell.tuya.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from esquirell.tuya.link import Link


class LocalTransport:
    """Reads meters in the Tuya LAN protocol, each by one thread of one process at a time.

    `lock_dir` is shared by all processes of the machine; `keep_connections` tells whether the
    connection to a meter stays open after a read, which pays when it is read again within
    the half minute after which a device closes a silent connection. While it stays open, no
    other process can read the meter. Raises ConfigError when `lock_dir` can't be made.
    """

    def __init__(
        self,
        lock_dir: Path,
        *,
        keep_connections: Callable[[Meter], bool],
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        try:
            lock_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"the folder {lock_dir} for locks can't be made ({error.strerror}): "
                "set state_dir to a folder that esquirell may write to"
            ) from error
        self._lock_dir = lock_dir
        self._keep = keep_connections
        self._limits = limits
        self._stop = threading.Event()
        self._registry = threading.Lock()
        self._links: dict[str, Link] = {}

    def read(
        self, meter: Meter, refresh: tuple[int, ...] = (), *, forced: bool = False
    ) -> Mapping[str, Any]:
        """Ask a meter for its DPs, keyed by DP id.

        `refresh` lists DPs to ask for by UPDATEDPS first; `forced` ignores a cool-down.
        Raises MeterUnreachableError or MeterRejectedError.
        """
        # A connection that stays open would keep the others behind the same gateway away.
        keep = not meter.cid and self._keep(meter)
        return self._link(meter).read(refresh, keep=keep, forced=forced)

    def forget(self, meter_name: str) -> None:
        """Drop the connection to a meter and what is remembered of its failures."""
        with self._registry:
            link = self._links.pop(meter_name, None)
        if link is not None:
            link.drop()

    def close(self) -> None:
        """Break off the reads under way, close all connections and read no more."""
        self._stop.set()
        with self._registry:
            links = list(self._links.values())
        for link in links:
            link.abort()
            link.drop()

    def _link(self, meter: Meter) -> "Link":
        with self._registry:
            if self._stop.is_set():
                raise stopped(meter)
            link = self._links.get(meter.name)
            if link is None or not (link.meter is meter or link.meter == meter):
                if link is not None:
                    link.drop()
                link = self._links[meter.name] = self._new_link(meter)
            return link

    def _new_link(self, meter: Meter) -> "Link":
        # tinytuya takes some 25 MiB, which a process that reads no meters does without.
        from esquirell.tuya.link import Link  # noqa: PLC0415

        return Link(meter, self._lock_dir, self._limits, self._stop)
