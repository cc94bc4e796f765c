"""What the bridge takes back from the broker, and what it leaves there."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.mosquitto import Mosquitto
from support.mqtt_observer import Observer, about, retained
from support.mqtt_parts import (
    AVAILABILITY,
    BRIDGE,
    COST,
    FETCH,
    MAIN,
    House,
    bridge_in,
    info_of,
    reading,
    refresh,
    repeatedly,
    schedule,
    settled,
)
from support.waiting import eventually

from esquirell.domain.errors import UnavailableError
from esquirell.domain.reading import MeterStatus
from esquirell.mqtt.bridge import Bridge
from esquirell.mqtt.claim import Claim
from esquirell.mqtt.client import Connection
from esquirell.mqtt.memory import Memory, Place
from esquirell.mqtt.options import Options
from esquirell.mqtt.publisher import MqttPublisher
from esquirell.mqtt.topics import Topics


def publish_garage(house: House, bridge: Bridge, connection: Connection, broker: Mosquitto) -> None:
    """Publish a reading of a meter, and wait until all that is retained of it is there."""
    publisher = MqttPublisher(connection, Topics(), lambda _: 0, house.clock)
    publisher.reading(reading(name="garage"), ())
    bridge.tick()
    eventually(lambda: len(about("garage", broker)) == 3)


def test_a_meter_removed_at_run_time_disappears(broker: Mosquitto, house: House) -> None:
    house.meters = [info_of("main"), info_of("garage")]
    with bridge_in(house, broker.port) as (bridge, connection):
        publish_garage(house, bridge, connection, broker)
        house.meters.pop()
        refresh(house, bridge)
        eventually(lambda: not about("garage", broker))
        assert len(about("main", broker)) == 2


def test_what_a_worker_elsewhere_published_of_a_removed_meter_disappears(
    broker: Mosquitto, house: House, observer: Observer
) -> None:
    house.meters = [info_of("main"), info_of("garage")]
    state = "esquirell/meter/garage/state"
    with bridge_in(house, broker.port) as (bridge, connection):
        bridge.tick()
        observer.publish(state, b'{"voltage":230}', retain=True)
        settled(observer, connection)
        house.meters.pop()
        refresh(house, bridge)
        eventually(lambda: state not in retained(broker.port))


def test_a_meter_removed_while_we_were_away_disappears(broker: Mosquitto, house: House) -> None:
    house.meters = [info_of("main"), info_of("garage")]
    with bridge_in(house, broker.port) as (bridge, connection):
        publish_garage(house, bridge, connection, broker)
    house.meters.pop()
    with bridge_in(house, broker.port) as (bridge, _):
        repeatedly(lambda: refresh(house, bridge), lambda: not about("garage", broker))
        assert len(about("main", broker)) == 2


def test_a_meter_whose_configuration_is_damaged_stays_announced_and_is_offline(
    broker: Mosquitto, house: House
) -> None:
    house.meters = [info_of("main"), info_of("garage")]
    with bridge_in(house, broker.port) as (bridge, _):
        bridge.tick()
        eventually(lambda: len(about("garage", broker)) == 2)
    house.meters.pop()
    house.left_out = {"garage": MeterStatus(last_success=house.clock())}
    topic = AVAILABILITY.replace("main", "garage")
    with bridge_in(house, broker.port) as (bridge, _):
        repeatedly(
            lambda: refresh(house, bridge),
            lambda: json.loads(retained(broker.port)[topic])["state"] == "offline",
        )
        assert len(about("garage", broker)) == 2
        house.left_out = {}
        repeatedly(lambda: refresh(house, bridge), lambda: not about("garage", broker))


def test_topics_of_impossible_meter_names_are_cleared(
    broker: Mosquitto, house: House, observer: Observer
) -> None:
    for name in ("", "Größe 1", "$x"):
        observer.publish(f"esquirell/meter/{name}/availability", b"?", retain=True)
    with bridge_in(house, broker.port) as (bridge, _):
        repeatedly(lambda: refresh(house, bridge), lambda: len(about("meter/", broker)) == 1)
        assert {BRIDGE, MAIN} <= retained(broker.port).keys()


@pytest.mark.parametrize("other", ["esquirell2", "esquirell/garage", "esquirell_garage", "garage"])
def test_the_devices_of_another_base_topic_are_left_alone(
    broker: Mosquitto, house: House, other: str
) -> None:
    neighbour = House()
    neighbour.meters = [info_of("theirs")]
    topics = Topics(other)
    with bridge_in(neighbour, broker.port, topics) as (bridge, _):
        bridge.tick()
        eventually(lambda: len(about("theirs", broker)) == 2)
        before = {topic: text for topic, text in retained(broker.port).items() if other in topic}
        with bridge_in(house, broker.port) as (ours, connection):
            eventually(lambda: connection.connected)
            repeatedly(lambda: refresh(house, ours), lambda: len(about("main", broker)) == 2)
        after = retained(broker.port)
    assert {topic: after.get(topic) for topic in before} == before


def test_a_database_that_is_away_removes_nothing(broker: Mosquitto, house: House) -> None:
    with bridge_in(house, broker.port) as (bridge, _):
        bridge.tick()
        eventually(lambda: len(about("main", broker)) == 2)
    house.error = UnavailableError("the database is unreachable")
    with bridge_in(house, broker.port) as (bridge, connection):
        refresh(house, bridge)
        settled_by = len(about("main", broker))
        assert settled_by == 2
        assert connection.connected
        house.error = None
        refresh(house, bridge)
        assert len(about("main", broker)) == 2


def test_a_tariff_that_has_disappeared_takes_its_topic_and_sensors_along(
    broker: Mosquitto, house: House, observer: Observer
) -> None:
    observer.publish(COST, b'{"currency":"PLN"}', retain=True)
    house.meters = [replace(info_of(), currency="PLN")]
    with bridge_in(house, broker.port) as (bridge, connection):
        refresh(house, bridge)
        settled(observer, connection)
    house.meters = [info_of()]
    observer.forget()
    with bridge_in(house, broker.port) as (bridge, _):
        repeatedly(lambda: refresh(house, bridge), lambda: COST not in retained(broker.port))
        components = observer.saw(lambda seen: seen.topic == MAIN).json["components"]
    assert components["cost_today"] == components["cost_this_month"] == {"platform": "sensor"}


def test_nothing_is_removed_that_was_not_there(
    broker: Mosquitto, house: House, observer: Observer
) -> None:
    """openHAB refuses a whole device for a component that has nothing but a platform."""

    def bare() -> list[str]:
        found = (json.loads(retained(broker.port)[topic])["components"] for topic in (MAIN, FETCH))
        return [key for one in found for key, component in one.items() if len(component) == 1]

    with bridge_in(house, broker.port) as (bridge, connection):
        bridge.tick()
        settled(observer, connection)
        assert bare() == []
        house.schedules = {"fetch": schedule(every=None, cron="0 3 * * *")}
        bridge.tick()
        settled(observer, connection, "esquirell/end/2")
        assert bare() == ["interval"]
        house.schedules = {"fetch": schedule(every=None, cron="0 4 * * *")}
        bridge.tick()
        settled(observer, connection, "esquirell/end/3")
        assert bare() == []


def test_a_cost_is_removed_with_its_tariff_or_its_meter(
    broker: Mosquitto, house: House, observer: Observer
) -> None:
    house.meters = [replace(info_of(), currency="PLN")]
    observer.publish(COST, b'{"currency":"PLN"}', retain=True)
    with bridge_in(house, broker.port) as (bridge, connection):
        refresh(house, bridge)
        settled(observer, connection)
        assert COST in retained(broker.port)
        house.meters = []
        repeatedly(lambda: refresh(house, bridge), lambda: COST not in retained(broker.port))


def test_meters_removed_while_home_assistant_was_down_are_removed_at_its_birth(
    broker: Mosquitto, house: House, observer: Observer, tmp_path: Path
) -> None:
    """It forgets only meters that are removed while it runs."""
    house.meters = [info_of("main"), info_of("garage")]
    garage, file = "homeassistant/device/esquirell_garage/config", tmp_path / "mqtt.json"
    with bridge_in(house, broker.port, memory=Memory(file)) as (bridge, _):
        bridge.tick()
        announced = observer.saw(lambda seen: seen.topic == garage).payload
        house.meters.pop()
        house.schedules = {}
        refresh(house, bridge)
        eventually(lambda: not about("garage", broker))
    assert file.stat().st_mode & 0o077 == 0
    observer.forget()
    with bridge_in(house, broker.port, memory=Memory(file)) as (bridge, connection):
        bridge.tick()
        for birth in range(2):
            observer.publish("homeassistant/status", b"online")
            settled(observer, connection, f"esquirell/birth/{birth}")
            house.later += 10
            bridge.tick()
            settled(observer, connection, f"esquirell/told/{birth}")
    assert [seen.payload for seen in observer.of(garage)] == [announced, b""]
    assert [bool(seen.payload) for seen in observer.of(FETCH)] == [True, False]


def test_a_meter_that_came_back_is_not_removed_at_a_birth(broker: Mosquitto, house: House) -> None:
    memory = Memory()
    with bridge_in(house, broker.port, memory=memory) as (bridge, _):
        bridge.tick()
        before, house.meters = house.meters, []
        refresh(house, bridge)
        assert MAIN in memory.removed
        house.meters = before
        refresh(house, bridge)
        assert MAIN not in memory.removed


@pytest.mark.parametrize(
    ("earlier", "kept"),
    [
        (Topics("energy"), set()),
        (Topics(discovery_prefix="ha"), set()),
        (Topics("energy", "ha"), {"ha/device/energy2_x/config", "ha/device/other/config"}),
    ],
)
def test_topics_under_a_previous_base_topic_are_cleared(
    broker: Mosquitto, house: House, observer: Observer, earlier: Topics, kept: set[str]
) -> None:
    memory = Memory()
    with bridge_in(house, broker.port, earlier, memory=memory) as (bridge, connection):
        bridge.tick()
        MqttPublisher(connection, earlier, lambda _: 0, house.clock).reading(reading(), ())
        settled(observer, connection, "moved/end")
    for topic in kept:
        observer.publish(topic, b'{"origin":{"name":"other"}}', retain=True)
    assert about(earlier.discovery_prefix, broker)
    with bridge_in(house, broker.port, memory=memory) as (bridge, _):
        repeatedly(bridge.tick, lambda: set(_elsewhere(broker)) == kept)
        assert {MAIN, BRIDGE, FETCH, AVAILABILITY} <= retained(broker.port).keys()


def _elsewhere(broker: Mosquitto) -> list[str]:
    ours = ("esquirell/", "homeassistant/device/esquirell")
    return [topic for topic in retained(broker.port) if not topic.startswith(ours)]


def test_an_earlier_base_topic_that_another_bridge_serves_now_is_left(
    broker: Mosquitto, house: House
) -> None:
    energy = Topics("energy")
    memory = Memory(published=Place("energy", "homeassistant"))
    theirs = Connection(
        Options("127.0.0.1", broker.port, client_id="energy-bridge", session_expiry=600),
        claim=Claim(energy),
    )
    theirs.start()
    theirs.retain("energy/bridge/state", {"state": "online"})
    eventually(lambda: theirs.connected)
    with bridge_in(house, broker.port, memory=memory) as (bridge, _):
        bridge.tick()
        eventually(lambda: about("main", broker))
        assert "energy/bridge/state" in retained(broker.port)
    theirs.stop(5)


def test_controls_in_one_message_of_before_move_to_messages_of_their_own(
    broker: Mosquitto, house: House, observer: Observer
) -> None:
    """As an earlier release announced schedules; their ids are the same."""
    components = {
        "connectivity": {"platform": "binary_sensor", "state_topic": "esquirell/bridge/state"},
        "enabled_fetch": {"platform": "switch", "unique_id": "esquirell_fetch_enabled"},
    }
    old = {"origin": {"name": "esquirell"}, "components": components}
    observer.publish(BRIDGE, json.dumps(old).encode(), retain=True)
    with bridge_in(house, broker.port) as (bridge, connection):
        bridge.tick()
        said = observer.saw(lambda seen: seen.topic == BRIDGE and b"version" in seen.payload)
        assert said.json["components"]["enabled_fetch"] == {"platform": "switch"}
        settled(observer, connection)
        assert not observer.of(FETCH)
        house.later += 3
        bridge.tick()
        observer.saw(lambda seen: seen.topic == FETCH)
