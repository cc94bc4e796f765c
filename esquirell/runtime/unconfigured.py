"""Adapters for commands that work without a configuration: they search, test and write one."""

from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from esquirell.mqtt.client import Connection
from esquirell.mqtt.options import Options
from esquirell.settings import MqttSettings
from esquirell.tuya.cloud.account import Account
from esquirell.tuya.cloud.cloud import Cloud
from esquirell.tuya.device_files import Addresses
from esquirell.tuya.discovery.finder import Finder
from esquirell.tuya.discovery.listener import Announcement, Listener
from esquirell.tuya.lan.loop import Loop
from esquirell.tuya.lan.network import Network, Nobody
from esquirell.tuya.transport import LocalTransport
from esquirell.tuya.trial import Trial

__all__ = [
    "Announcement",
    "Cloud",
    "Finder",
    "Trial",
    "cloud",
    "connection",
    "finder",
    "listener",
    "local_transport",
]


def listener() -> Listener:
    """Build what hears the devices on the network announce themselves."""
    return Listener()


def finder(search_s: float) -> Finder:
    """Build what finds the address of a device by its id within a time limit (s)."""
    return Finder(search_s=search_s)


def local_transport(folder: Path) -> LocalTransport:
    """Return a transport that reads a meter and disconnects; its locks are in `folder`."""
    network = Network(
        folder,
        keep=lambda _: "closed",
        interval_s=lambda _: 0.0,
        finder=Finder(),
        addresses=Addresses(folder),
        listener=Nobody(),
        loop=Loop(),
    )
    return LocalTransport(network)


def connection(mqtt: MqttSettings) -> Connection:
    """Return a connection to the broker that only tests whether it accepts us."""
    password = mqtt.password.get_secret_value()
    return Connection(Options(mqtt.host, mqtt.port, mqtt.username, password, mqtt.protocol))


def cloud(region: str, access_id: str, secret: str, url: str, folder: Path) -> Cloud:
    """Return the access to a Tuya cloud account; its state is kept in `folder`."""
    account = Account(region, access_id, SecretStr(secret), url)
    return Cloud(account, folder, lambda: datetime.now(UTC))
