import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from support.mosquitto import Mosquitto
from support.mqtt_observer import Observer, Seen, retained
from support.mqtt_parts import NOON, House, bridge_in, info_of, reading, repeatedly
from support.waiting import eventually

from esquirell.domain.errors import UnavailableError
from esquirell.domain.status import MeterStatus
from esquirell.mqtt.bridge import HEALTH_S, Bridge
from esquirell.mqtt.client import Connection
from esquirell.mqtt.pace import Pace
from esquirell.mqtt.publisher import MqttPublisher
from esquirell.mqtt.topics import Topics

MAIN = "homeassistant/device/esquirell_main/config"
BRIDGE = "homeassistant/device/esquirell/config"
AVAILABILITY = "esquirell/meter/main/availability"


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def observer(broker: Mosquitto) -> Iterator[Observer]:
    with Observer(broker.port) as one:
        yield one


def refresh(bridge: Bridge) -> None:
    """Make the bridge look everything up again, as it does every ten seconds."""
    bridge._refresh_pace._next = 0
    bridge.tick()


def settled(observer: Observer, connection: Connection) -> None:
    """Wait until everything published so far has arrived."""
    connection.publish("esquirell/end", {})
    observer.saw(lambda seen: seen.topic == "esquirell/end")


def test_all_is_there_after_the_first_turn(broker: Mosquitto, house: House) -> None:
    with bridge_in(house, broker.port) as (bridge, connection):
        bridge.tick()
        eventually(lambda: len(retained(broker.port)) == 7)
        found = {topic: json.loads(text) for topic, text in retained(broker.port).items()}
    assert set(found) == {
        "esquirell/bridge/state",
        "esquirell/bridge/info",
        "esquirell/bridge/health",
        "esquirell/schedule/fetch/state",
        AVAILABILITY,
        MAIN,
        BRIDGE,
    }
    assert found["esquirell/bridge/state"] == {"state": "online"}
    assert found["esquirell/bridge/health"] == {"healthy": True}
    assert found["esquirell/bridge/info"]["version"] == "0.1.0"
    assert found[AVAILABILITY]["state"] == "online"
    assert not connection.connected


def test_each_device_is_announced_once(broker: Mosquitto, house: House, observer: Observer) -> None:
    with bridge_in(house, broker.port) as (bridge, connection):
        for _ in range(3):
            refresh(bridge)
        settled(observer, connection)
        assert len(observer.of(MAIN)) == len(observer.of(BRIDGE)) == 1


def test_a_new_quantity_is_announced(broker: Mosquitto, house: House, observer: Observer) -> None:
    with bridge_in(house, broker.port) as (bridge, _):
        bridge.tick()
        house.meters = [info_of(status=MeterStatus(last_success=NOON, keys=("leakage_current",)))]
        refresh(bridge)
        observer.saw(lambda seen: seen.topic == MAIN and "leakage_current" in str(seen.payload))


def test_a_birth_renews_everything(broker: Mosquitto, house: House, observer: Observer) -> None:
    with bridge_in(house, broker.port) as (bridge, connection):
        bridge.tick()
        settled(observer, connection)
        observer.publish(MAIN, b"", retain=True)
        observer.forget()
        observer.publish("homeassistant/status", b"online")
        observer.publish("homeassistant/status", b"online")
        eventually(lambda: bridge._renew_at is not None)
        repeatedly(bridge.tick, lambda: observer.of(BRIDGE))
        settled(observer, connection)
        assert [len(observer.of(topic)) for topic in (MAIN, BRIDGE, AVAILABILITY)] == [1, 1, 1]
        assert bridge._renew_at is None


def test_connecting_does_what_a_birth_asks_for(broker: Mosquitto, house: House) -> None:
    with bridge_in(house, broker.port) as (bridge, connection):
        eventually(lambda: connection.connected)
        with Observer(broker.port) as observer:
            observer.publish("homeassistant/status", b"online")
            eventually(lambda: bridge._renew_at is not None)
        broker.restart()
        eventually(lambda: bridge._renew_at is None)


def test_neither_an_old_birth_nor_a_death_renews_anything(
    broker: Mosquitto, house: House, observer: Observer
) -> None:
    observer.publish("homeassistant/status", b"online", retain=True)
    with bridge_in(house, broker.port) as (bridge, connection):
        seen: list[bytes] = []
        connection.subscribe("homeassistant/status", lambda message: seen.append(message.payload))
        eventually(lambda: seen)
        observer.publish("homeassistant/status", b"offline")
        eventually(lambda: b"offline" in seen)
        assert bridge._renew_at is None


def test_a_restarted_broker_gets_everything_again(broker: Mosquitto, house: House) -> None:
    with bridge_in(house, broker.port) as (bridge, connection):
        publisher = MqttPublisher(connection, Topics(), lambda _: 0, house.clock)
        publisher.reading(reading(), ("voltage_a",))
        bridge.tick()
        eventually(lambda: len(retained(broker.port)) == 8)
        before = retained(broker.port)
        broker.restart()
        eventually(lambda: retained(broker.port) == before)


def test_a_meter_without_readings_for_three_intervals_is_offline(
    broker: Mosquitto, house: House, observer: Observer
) -> None:
    def availability(state: str) -> Seen:
        return observer.saw(lambda seen: seen.topic == AVAILABILITY and seen.json["state"] == state)

    def event(kind: str) -> Seen:
        return observer.saw(
            lambda seen: seen.topic == "esquirell/bridge/event" and seen.json["type"] == kind
        )

    with bridge_in(house, broker.port) as (bridge, connection):
        bridge.tick()
        availability("online")
        house.now = NOON + timedelta(seconds=179)
        refresh(bridge)
        settled(observer, connection)
        assert len(observer.of(AVAILABILITY)) == 1
        house.now = NOON + timedelta(seconds=181)
        refresh(bridge)
        assert availability("offline").json == {
            "state": "offline",
            "reason": None,
            "last_success": "2026-11-22T12:00:00.000Z",
            "failures": 0,
        }
        assert event("meter_offline").json["data"] == {"meter": "main", "reason": None}
        observer.forget()
        house.meters = [info_of(status=MeterStatus(last_success=house.now))]
        refresh(bridge)
        availability("online")
        event("meter_online")


def test_a_meter_that_nothing_polls_is_never_overdue(
    broker: Mosquitto, house: House, observer: Observer
) -> None:
    house.meters = [info_of(interval=None)]
    house.now = NOON + timedelta(days=9)
    with bridge_in(house, broker.port) as (bridge, _):
        bridge.tick()
        seen = observer.saw(lambda seen: seen.topic == AVAILABILITY)
        assert seen.json["state"] == "online"


def test_a_new_meter_is_offline_until_it_answers(
    broker: Mosquitto, house: House, observer: Observer
) -> None:
    house.meters = [info_of(status=MeterStatus())]
    with bridge_in(house, broker.port) as (bridge, _):
        bridge.tick()
        seen = observer.saw(lambda seen: seen.topic == AVAILABILITY)
        assert seen.json == {
            "state": "offline",
            "reason": None,
            "last_success": None,
            "failures": 0,
        }


def test_a_meter_removed_at_run_time_disappears(broker: Mosquitto, house: House) -> None:
    house.meters = [info_of("main"), info_of("garage")]
    with bridge_in(house, broker.port) as (bridge, connection):
        MqttPublisher(connection, Topics(), lambda _: 0, house.clock).reading(
            reading(name="garage"), ()
        )
        bridge.tick()
        eventually(lambda: len(_about("garage", broker)) == 3)
        house.meters.pop()
        refresh(bridge)
        eventually(lambda: not _about("garage", broker))
        assert len(_about("main", broker)) == 2


def test_a_meter_removed_while_we_were_away_disappears(broker: Mosquitto, house: House) -> None:
    house.meters = [info_of("main"), info_of("garage")]
    with bridge_in(house, broker.port) as (bridge, connection):
        MqttPublisher(connection, Topics(), lambda _: 0, house.clock).reading(
            reading(name="garage"), ()
        )
        bridge.tick()
        eventually(lambda: len(_about("garage", broker)) == 3)
    house.meters.pop()
    with bridge_in(house, broker.port) as (bridge, _):
        repeatedly(lambda: refresh(bridge), lambda: not _about("garage", broker))
        assert len(_about("main", broker)) == 2


def test_what_is_no_meter_of_ours_is_cleared_without_harm(
    broker: Mosquitto, house: House, observer: Observer
) -> None:
    for name in ("", "Größe 1", "$x"):
        observer.publish(f"esquirell/meter/{name}/availability", b"?", retain=True)
    with bridge_in(house, broker.port) as (bridge, _):
        repeatedly(lambda: refresh(bridge), lambda: len(_about("meter/", broker)) == 2)
        assert {BRIDGE, MAIN} <= retained(broker.port).keys()


def _about(name: str, broker: Mosquitto) -> list[str]:
    """Give the retained topics about a meter."""
    return [topic for topic in retained(broker.port) if name in topic]


@pytest.mark.parametrize("other", ["esquirell2", "esquirell/garage", "esquirell_garage", "garage"])
def test_the_devices_of_another_base_topic_are_left_alone(
    broker: Mosquitto, house: House, other: str
) -> None:
    neighbour = House()
    neighbour.meters = [info_of("theirs")]
    topics = Topics(other)
    with bridge_in(neighbour, broker.port, topics, client_id="neighbour") as (bridge, _):
        bridge.tick()
        eventually(lambda: len(_about("theirs", broker)) == 2)
        before = {topic: text for topic, text in retained(broker.port).items() if other in topic}
        with bridge_in(house, broker.port) as (ours, connection):
            eventually(lambda: connection.connected)
            repeatedly(lambda: refresh(ours), lambda: len(_about("main", broker)) == 2)
        after = retained(broker.port)
    assert {topic: after.get(topic) for topic in before} == before


def test_a_database_that_is_away_removes_nothing(broker: Mosquitto, house: House) -> None:
    with bridge_in(house, broker.port) as (bridge, _):
        bridge.tick()
        eventually(lambda: len(_about("main", broker)) == 2)
    house.error = UnavailableError("the database is away")
    with bridge_in(house, broker.port) as (bridge, connection):
        eventually(lambda: bridge._found)
        refresh(bridge)
        eventually(lambda: connection.connected)
        assert len(_about("main", broker)) == 2
        house.error = None
        refresh(bridge)
        assert len(_about("main", broker)) == 2


def test_without_discovery_nothing_is_announced(broker: Mosquitto, house: House) -> None:
    house.meters = [info_of("main"), info_of("garage")]
    topics = Topics(discovery_prefix="")
    with bridge_in(house, broker.port, topics) as (bridge, _):
        bridge.tick()
        eventually(lambda: _about("garage", broker))
        house.meters.pop()
        refresh(bridge)
        eventually(lambda: not _about("garage", broker))
        assert all(topic.startswith("esquirell/") for topic in retained(broker.port))


def test_health_is_due_at_once_and_then_each_minute() -> None:
    pace = Pace(HEALTH_S)
    assert [pace.due(now) for now in (5, 6, 64.9, 65, 66, 125)] == [
        *(True, False, False),
        *(True, False, True),
    ]


COST = "esquirell/meter/main/cost"


def test_a_tariff_brings_sensors_that_home_assistant_takes(
    broker: Mosquitto, house: House, observer: Observer
) -> None:
    house.meters = [replace(info_of(), currency="PLN")]
    with bridge_in(house, broker.port) as (bridge, _):
        bridge.tick()
        told = observer.saw(lambda seen: seen.topic == MAIN).json["components"]
    for period in ("today", "this_month"):
        sensor = told[f"cost_{period}"]
        assert sensor["unique_id"] == f"esquirell_main_cost_{period}"
        assert (sensor["device_class"], sensor["state_class"]) == ("monetary", "total")
        assert sensor["unit_of_measurement"] == "PLN"
        assert sensor["state_topic"] == COST
        assert sensor["last_reset_value_template"] == f"{{{{ value_json.{period}.start }}}}"


def test_a_tariff_that_is_gone_takes_its_topic_and_sensors_along(
    broker: Mosquitto, house: House, observer: Observer
) -> None:
    observer.publish(COST, b'{"currency":"PLN"}', retain=True)
    with bridge_in(house, broker.port) as (bridge, _):
        repeatedly(lambda: refresh(bridge), lambda: COST not in retained(broker.port))
        refresh(bridge)
        observer.saw(lambda seen: seen.topic == MAIN and b'"cost_today"' in seen.payload)
        components = json.loads(retained(broker.port)[MAIN])["components"]
    assert components["cost_today"] == components["cost_this_month"] == {"platform": "sensor"}


def test_a_cost_stays_while_there_is_a_tariff_and_goes_with_its_meter(
    broker: Mosquitto, house: House, observer: Observer
) -> None:
    house.meters = [replace(info_of(), currency="PLN")]
    observer.publish(COST, b'{"currency":"PLN"}', retain=True)
    with bridge_in(house, broker.port) as (bridge, _):
        repeatedly(lambda: refresh(bridge), lambda: bridge._priced)
        refresh(bridge)
        assert COST in retained(broker.port)
        house.meters = []
        repeatedly(lambda: refresh(bridge), lambda: COST not in retained(broker.port))
