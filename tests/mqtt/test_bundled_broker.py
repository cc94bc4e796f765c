"""The broker that the demo extra brings along: it speaks MQTT 3.1.1 only."""

import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
from paho.mqtt.enums import MQTTProtocolVersion
from support.mqtt_observer import Observer
from support.mqtt_parts import House, bridge_in, info_of, repeatedly, running
from support.ports import free_port
from support.waiting import LIMIT_S, eventually

from esquirell.mqtt.options import Options

pytest.importorskip("iotcore", reason="the demo extra is not installed")

GARAGE = "homeassistant/device/esquirell_garage/config"


@pytest.fixture
def port() -> Iterator[int]:
    number = free_port()
    command = [sys.executable, "-m", "iotcore", "--listen", "127.0.0.1", "--port", str(number)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with running(Options("127.0.0.1", number, protocol="3.1.1")) as connection:
        eventually(lambda: connection.connected)
    yield number
    process.kill()
    process.wait(LIMIT_S)


def observing(port: int) -> Observer:
    return Observer(port, protocol=MQTTProtocolVersion.MQTTv311)


def test_it_carries_everything(port: int) -> None:
    house = House()
    house.meters.append(info_of("garage"))
    with bridge_in(house, port, protocol="3.1.1") as (bridge, connection):
        bridge.tick()
        eventually(lambda: connection.connected)
        with observing(port) as observer:
            seen = observer.saw(lambda seen: seen.topic == GARAGE)
            assert len(seen.json["components"]) == len(info_of().keys) + 5
        house.meters.pop()
        house.later += 60
        with observing(port) as observer:
            bridge.tick()
            observer.saw(lambda seen: seen.topic == GARAGE and not seen.payload)
            observer.publish("homeassistant/status", b"online")
            repeatedly(bridge.tick, lambda: observer.of("homeassistant/device/esquirell/config"))
    with observing(port) as observer:
        observer.saw(lambda seen: seen.json == {"state": "offline"})
        assert not observer.of(GARAGE)


def test_it_does_not_speak_mqtt_5(port: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with running(Options("127.0.0.1", port)):
        eventually(lambda: caplog.messages)
    assert "does not speak MQTT 5, so MQTT 3.1.1 is used" in caplog.messages[-1]
