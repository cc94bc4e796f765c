"""`esquirell mqtt clear`: the broker as if we had never been there."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cli import Home, esquirell, meter
from support.mosquitto import Mosquitto
from support.mqtt_observer import Observer, retained
from support.mqtt_parts import House, bridge_in

from esquirell.mqtt.topics import Topics

THEIRS = {
    "homeassistant/device/zigbee/config": b'{"origin":{"name":"zigbee2mqtt"},"components":{}}',
    "esquirell/notes": b"of somebody else",
    "energy/bridge/state": b'{"state":"online"}',
}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    server = Mosquitto(tmp_path)
    server.start()
    yield server
    server.kill()


def left_behind(broker: Mosquitto, topics: Topics) -> None:
    """Publish a house, and the things of others beside it."""
    with Observer(broker.port) as observer:
        for topic, payload in THEIRS.items():
            observer.publish(topic, payload, retain=True)
    with bridge_in(House(), broker.port, topics) as (bridge, _):
        bridge.tick()


def configure(home: Home, broker: Mosquitto, prefix: str = "homeassistant") -> None:
    places: dict[str, str | int] = {"mqtt__discovery_prefix": prefix, "mqtt__host": "127.0.0.1"}
    home.configure(meter(), mqtt__port=broker.port, **places)


def test_clear_removes_our_topics_and_no_others(home: Home, broker: Mosquitto) -> None:
    left_behind(broker, Topics())
    assert len(retained(broker.port)) == len(THEIRS) + 8
    configure(home, broker)
    done = esquirell("mqtt", "clear", "--yes")
    assert (done.code, done.err) == (0, "")
    assert "8 topics were cleared" in done.out
    assert "delete them there by hand" in done.out
    assert retained(broker.port) == THEIRS


def test_programs_get_the_topics(home: Home, broker: Mosquitto) -> None:
    left_behind(broker, Topics(discovery_prefix=""))
    configure(home, broker, "")
    done = esquirell("mqtt", "clear", "--json")
    assert "esquirell/bridge/state" in json.loads(done.out)
    assert "No device was announced" in esquirell("mqtt", "clear", "--yes").out


def test_clear_is_refused_while_a_service_runs(home: Home, broker: Mosquitto) -> None:
    configure(home, broker)
    with bridge_in(House(), broker.port, claims=True) as (bridge, _):
        bridge.tick()
        done = esquirell("mqtt", "clear", "--yes")
        assert done.code == 1
        assert "stop it first" in done.err
        assert len(retained(broker.port)) == 8


def test_a_broker_that_is_away_is_named(home: Home, broker: Mosquitto) -> None:
    configure(home, broker)
    broker.kill()
    done = esquirell("mqtt", "clear", "--yes")
    assert done.code == 1
    assert "can't be reached" in done.err
