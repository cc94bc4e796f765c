"""The devices: how they are read, and what is known of them."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from esquirell.domain.device import Device
from esquirell.domain.meter import Meter
from esquirell.settings import Settings, devices
from esquirell.tuya.account import Account
from esquirell.tuya.addresses import Addresses
from esquirell.tuya.cloud import DEVICES, Cloud, NoCloud
from esquirell.tuya.descriptions import Descriptions
from esquirell.tuya.finder import Finder
from esquirell.tuya.following import Follower
from esquirell.tuya.keys import CloudKeys
from esquirell.tuya.local import LocalTransport
from esquirell.tuya.transport import TuyaTransport


def build_transport(
    settings: Settings, keeps: Callable[[Meter], bool], cloud: Cloud | None
) -> TuyaTransport:
    """Build the way to the meters; `keeps` tells whose connections stay open."""
    local = LocalTransport(settings.lock_dir, keep_connections=keeps)
    finder = Finder()
    addresses = Addresses(settings.state_dir / "addresses")
    follower = Follower(local, finder, addresses)
    keys = CloudKeys(cloud) if cloud and settings.cloud.keys else None
    return TuyaTransport(local, finder, follower, cloud or NoCloud(), keys)


def build_cloud(settings: Settings, clock: Callable[[], datetime]) -> Cloud | None:
    """Build the way to the cloud, if there is an account."""
    given = settings.cloud
    if not given.api_key:
        return None
    account = Account(
        given.region,
        given.api_key,
        given.api_secret,
        given.url,
        given.requests_per_day,
        given.requests_per_month,
    )
    return Cloud(account, settings.state_dir, clock)


def describe(meter: Meter, state_dir: Path) -> Device:
    """Tell what is known of the device of a meter: from its file, else from the cloud.

    Raises ConfigError.
    """
    if meter.mapping_file:
        return devices.describe(meter.mapping_file, meter.device_id)
    known = Descriptions(state_dir / DEVICES).get(meter.device_id)
    return known or Device(product_id=meter.product_id)
