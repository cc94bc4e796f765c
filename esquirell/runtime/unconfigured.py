"""Adapters for commands without a configuration: search, test, write one; the demo's meters."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from esquirell.mqtt.client import Connection
from esquirell.mqtt.link import Message
from esquirell.mqtt.options import Options
from esquirell.mqtt.topics import Topics
from esquirell.settings import MqttSettings
from esquirell.tuya.cloud.account import Account
from esquirell.tuya.cloud.cloud import Cloud
from esquirell.tuya.device_files import Addresses
from esquirell.tuya.discovery.finder import Finder
from esquirell.tuya.discovery.listener import Announcement, Listener
from esquirell.tuya.lan.loop import Loop
from esquirell.tuya.lan.network import Network, NullListener
from esquirell.tuya.simulator import SimulatedMeter
from esquirell.tuya.simulator.simulated_house import DAY_S, SimulatedHouse
from esquirell.tuya.transport import LocalTransport
from esquirell.tuya.trial import Trial

if TYPE_CHECKING:
    # As types only: it loads requests.
    from esquirell.tuya.cloud.app_account import AppAccount, AppLogin  # noqa: TC004

__all__ = [
    "DAY_S",
    "Announcement",
    "AppAccount",
    "AppLogin",
    "Cloud",
    "Connection",
    "Listener",
    "Message",
    "SimulatedMeter",
    "Topics",
    "Trial",
    "app_login",
    "cloud",
    "connection",
    "local_transport",
    "simulated_meter",
]
# The simulated house changes every second; a real meter of this kind reports as often.
REPORT_S = 1.0


def local_transport(folder: Path) -> LocalTransport:
    """Return a transport that reads a meter and disconnects; its locks are in `folder`."""
    network = Network(
        folder,
        keep=lambda _: "closed",
        interval_s=lambda _: 0.0,
        finder=Finder(),
        addresses=Addresses(folder),
        listener=NullListener(),
        loop=Loop(),
    )
    return LocalTransport(network)


def connection(mqtt: MqttSettings) -> Connection:
    """Return a connection to the broker that does not act as the bridge."""
    password = mqtt.password.get_secret_value()
    return Connection(Options(mqtt.host, mqtt.port, mqtt.username, password, mqtt.protocol))


def cloud(region: str, access_id: str, secret: str, url: str, folder: Path) -> Cloud:
    """Return the access to a Tuya cloud account; its state is kept in `folder`."""
    account = Account(region, access_id, SecretStr(secret), url)
    return Cloud(account, folder, lambda: datetime.now(UTC))


def app_login(user_code: str, url: str) -> "AppLogin":
    """Request a QR code for the account of an app. Raises MeterUnreachableError (`cloud_error`)."""
    from esquirell.tuya.cloud.app_account import AppLogin  # noqa: PLC0415 - loads requests

    return AppLogin(user_code, url)


def simulated_meter(
    credentials: tuple[str, str, str],
    number: int,
    elapsed_s: Callable[[], float],
    where: tuple[str, int],
) -> SimulatedMeter:
    """Return simulated meter no. `number`, which has been running for `elapsed_s`.

    `credentials` are its device id, local key and protocol, `where` the address and port to listen
    on (0: any port).
    """
    house = SimulatedHouse(seed=number + 1)
    return SimulatedMeter(*credentials, lambda: house.dps(elapsed_s()), *where, report_s=REPORT_S)
