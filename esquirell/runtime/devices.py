"""The devices: how they are read, and what is known of them."""

from collections.abc import Callable

from esquirell.domain.device import Device
from esquirell.domain.meter import Meter
from esquirell.settings import Settings, devices
from esquirell.tuya.addresses import Addresses
from esquirell.tuya.finder import Finder
from esquirell.tuya.following import Follower
from esquirell.tuya.local import LocalTransport
from esquirell.tuya.transport import TuyaTransport


def build_transport(settings: Settings, keeps: Callable[[Meter], bool]) -> TuyaTransport:
    """Build the way to the meters; `keeps` tells whose connections stay open."""
    local = LocalTransport(settings.lock_dir, keep_connections=keeps)
    finder = Finder()
    addresses = Addresses(settings.state_dir / "addresses")
    return TuyaTransport(local, finder, Follower(local, finder, addresses))


def describe(meter: Meter) -> Device:
    """Tell what is known of the device of a meter. Raises ConfigError."""
    if meter.mapping_file:
        return devices.describe(meter.mapping_file, meter.device_id)
    return Device(product_id=meter.product_id)
