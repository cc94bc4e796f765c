"""Parts of the MQTT adapter, ready to be used by tests."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeVar

from pydantic import SecretStr
from support.mqtt_observer import Observer
from support.waiting import eventually

from esquirell import profiles
from esquirell.domain.meter import Meter
from esquirell.domain.reading import MeterStatus, Reading
from esquirell.mqtt.bridge import REFRESH_S, Bridge, Facts, will_of
from esquirell.mqtt.claim import Claim
from esquirell.mqtt.client import Connection
from esquirell.mqtt.discovery import About, MeterInfo
from esquirell.mqtt.echo import Echo
from esquirell.mqtt.memory import Memory
from esquirell.mqtt.options import Options, Will
from esquirell.mqtt.publisher import MqttPublisher
from esquirell.mqtt.topics import Topics

T = TypeVar("T")

NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)

# Topics of a house with the meter `main` and the schedule `fetch`.
MAIN = "homeassistant/device/esquirell_main/config"
BRIDGE = "homeassistant/device/esquirell/config"
FETCH = "homeassistant/device/esquirell/fetch/config"
AVAILABILITY = "esquirell/meter/main/availability"
COST = "esquirell/meter/main/cost"


def settled(observer: Observer, connection: Connection, mark: str = "esquirell/end") -> None:
    """Wait until everything published so far has arrived."""
    connection.publish(mark, {})
    observer.saw(lambda seen: seen.topic == mark)


def repeatedly(act: Callable[[], object], look: Callable[[], T]) -> T:
    """Do something over and over until something is true."""

    def run_once() -> T:
        act()
        return look()

    return eventually(run_once)


@contextmanager
def running(
    options: Options, will: Will | None = None, echo: Echo | None = None
) -> Iterator[Connection]:
    """Start a connection, and stop it in the end."""
    connection = Connection(options, will, echo=echo)
    connection.start()
    try:
        yield connection
    finally:
        connection.stop(5)


@contextmanager
def connected(
    options: Options, will: Will | None = None, echo: Echo | None = None
) -> Iterator[Connection]:
    """Start a connection and wait until it is accepted."""
    with running(options, will, echo) as connection:
        eventually(lambda: connection.connected)
        yield connection


def meter(name: str = "main", profile: str = "owon_pc321", **details: str) -> Meter:
    """Describe a meter."""
    key = SecretStr("0123456789abcdef")
    return Meter(name=name, device_id="bf0123", local_key=key, profile=profile, **details)


WELL_AT_NOON = MeterStatus(last_success=NOON)


def info_of(
    name: str = "main", status: MeterStatus = WELL_AT_NOON, interval: float | None = 60
) -> MeterInfo:
    """Describe a three-phase meter and how it is doing."""
    profile = profiles.find("owon_pc321")
    return MeterInfo(meter(name, label=f"The {name} one"), profile, status, interval)


def reading(second: float = 0, name: str = "main", **values: float) -> Reading:
    """Take a reading some seconds after noon."""
    moment = NOON + timedelta(seconds=second)
    return Reading(name, moment, values or {"voltage_a": 236.0}, {"DeviceStatus": 0})


def schedule(name: str = "fetch", **fields: object) -> dict[str, object]:
    """Describe a schedule as it is published."""
    state: dict[str, object] = {
        "name": name,
        "task": "fetch_and_save_energy_data",
        "meters": None,
        "every": 60,
        "cron": None,
        "timezone": None,
        "args": {},
        "enabled": True,
        "expires": None,
        "last_run_at": None,
        "next_run_at": "2026-11-22T12:01:00.000Z",
        "last_result": None,
        "origin": "config",
    }
    return state | fields


class House:
    """What a bridge looks up, and what a test may change."""

    def __init__(self) -> None:
        self.now = NOON
        self.later = 0.0
        self.meters: list[MeterInfo] = [info_of()]
        self.schedules: dict[str, dict[str, object]] = {"fetch": schedule()}
        self.version = ""
        self.runs: dict[str, str] = {}
        self.error: Exception | None = None
        self.left_out: dict[str, MeterStatus] = {}

    def clock(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return time.monotonic() + self.later

    def look(self) -> list[MeterInfo]:
        if self.error:
            raise self.error
        return self.meters

    def facts(self) -> Facts:
        whole: dict[str, object] = {"version": "0.1.0", "base_topic": "esquirell"}
        info = whole | {"log_level": "info", "config": {}, "commands": {}}
        return Facts(
            About("0.1.0"),
            self.look,
            lambda: self.left_out,
            lambda: info,
            lambda: {"healthy": True},
            lambda: self.schedules,
            lambda _: (self.version or str(self.schedules), self.runs),
            self.clock,
        )


def refresh(house: House, bridge: Bridge) -> None:
    """Make the bridge look everything up again, as it does every ten seconds."""
    house.later += REFRESH_S
    bridge.tick()


def run_until(bridge: Bridge, stop: threading.Event) -> None:
    """Let a bridge do what is due, until `stop` is set."""
    while not stop.wait(0.2):
        bridge.tick()


@contextmanager
def bridge_in(
    house: House,
    port: int,
    topics: Topics | None = None,
    *,
    protocol: Literal["5", "3.1.1"] = "5",
    memory: Memory | None = None,
    claims: bool = False,
) -> Iterator[tuple[Bridge, Connection]]:
    """Start a bridge whose turns the test itself makes."""
    topics = topics or Topics()
    options = Options("127.0.0.1", port, client_id=f"{topics.bridge_id}-bridge", protocol=protocol)
    connection = Connection(options, will_of(topics), Claim(topics) if claims else None)
    publisher = MqttPublisher(connection, topics, lambda _: 0, house.clock)
    memory = memory or Memory()
    bridge = Bridge(connection, topics, publisher, house.facts(), memory, house.monotonic)
    bridge.start()
    connection.start()
    try:
        eventually(lambda: connection.connected)
        yield bridge, connection
    finally:
        connection.stop(5)
