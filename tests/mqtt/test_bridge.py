import json
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from support.mosquitto import Mosquitto
from support.mqtt_observer import Observer, Seen, about, retained
from support.mqtt_parts import (
    AVAILABILITY,
    BRIDGE,
    COST,
    FETCH,
    MAIN,
    NOON,
    House,
    bridge_in,
    info_of,
    reading,
    refresh,
    repeatedly,
    settled,
)
from support.waiting import eventually

from esquirell.domain.reading import MeterStatus
from esquirell.mqtt.bridge import BIRTH_DELAY_S, HEALTH_S, REST_S, Bridge
from esquirell.mqtt.discovery import MeterInfo
from esquirell.mqtt.publisher import MqttPublisher
from esquirell.mqtt.requests import Pace
from esquirell.mqtt.topics import Topics

STATE = "esquirell/bridge/state"


def test_everything_is_published_after_the_first_round(broker: Mosquitto, house: House) -> None:
    with bridge_in(house, broker.port) as (bridge, connection):
        bridge.tick()
        eventually(lambda: len(retained(broker.port)) == 8)
        found = {topic: json.loads(text) for topic, text in retained(broker.port).items()}
    assert set(found) == {
        "esquirell/bridge/state",
        "esquirell/bridge/info",
        "esquirell/bridge/health",
        "esquirell/schedule/fetch/state",
        AVAILABILITY,
        MAIN,
        BRIDGE,
        FETCH,
    }
    assert found["esquirell/bridge/state"] == {"state": "online"}
    assert found["esquirell/bridge/health"] == {"healthy": True}
    assert found["esquirell/bridge/info"]["version"] == "0.1.0"
    assert found[AVAILABILITY]["state"] == "online"
    assert not connection.connected


def test_each_device_is_announced_once(broker: Mosquitto, house: House, observer: Observer) -> None:
    with bridge_in(house, broker.port) as (bridge, connection):
        for _ in range(3):
            refresh(house, bridge)
        settled(observer, connection)
        assert [len(observer.of(topic)) for topic in (MAIN, BRIDGE, FETCH)] == [1, 1, 1]


def test_online_is_published_last(broker: Mosquitto, house: House, observer: Observer) -> None:
    """Else Home Assistant takes a state of yesterday, still on the broker, for a new one."""
    house.now = NOON + timedelta(hours=3)
    with bridge_in(house, broker.port) as (bridge, connection):
        for _ in range(2):
            bridge.tick()
            observer.saw(lambda seen: seen.topic == STATE and b"online" in seen.payload)
            topics = [seen.topic for seen in observer.messages if "doctor" not in seen.topic]
            assert topics.index(AVAILABILITY) < topics.index(STATE)
            assert topics.index(MAIN) < topics.index(STATE)
            assert observer.of(AVAILABILITY)[0].json["state"] == "offline"
            observer.forget()
            connection.renew()


def test_what_another_client_clears_or_overwrites_is_published_again(
    broker: Mosquitto, house: House, observer: Observer
) -> None:
    schedule_state = "esquirell/schedule/fetch/state"
    with bridge_in(house, broker.port) as (bridge, connection):
        bridge.tick()
        settled(observer, connection)
        before = retained(broker.port)
        for topic in (STATE, MAIN, FETCH, AVAILABILITY, schedule_state, "esquirell/bridge/info"):
            observer.publish(topic, b"", retain=True)
            repeatedly(bridge.tick, lambda: retained(broker.port) == before)
        observer.publish(STATE, b'{"state":"offline"}', retain=True)
        repeatedly(bridge.tick, lambda: retained(broker.port) == before)


def test_a_new_quantity_is_announced(broker: Mosquitto, house: House, observer: Observer) -> None:
    with bridge_in(house, broker.port) as (bridge, _):
        bridge.tick()
        house.meters = [info_of(status=MeterStatus(last_success=NOON, keys=("leakage_current",)))]
        refresh(house, bridge)
        observer.saw(lambda seen: seen.topic == MAIN and "leakage_current" in str(seen.payload))


def test_the_bridge_rests_until_something_is_due(
    broker: Mosquitto, house: House, observer: Observer
) -> None:
    woken = threading.Event()
    with bridge_in(house, broker.port) as (bridge, _):
        bridge.on_work(woken.set)
        assert 0 < bridge.tick() <= REST_S
        refresh(house, bridge)
        woken.clear()
        assert bridge.tick() == REST_S
        observer.publish("homeassistant/status", b"online")
        eventually(woken.is_set, what="the birth is heard")
        assert 0.3 < bridge.tick() <= 0.5 + BIRTH_DELAY_S
        house.later += 0.5 + BIRTH_DELAY_S
        assert bridge.tick() == REST_S


@pytest.mark.parametrize("is_retained", [False, True])
def test_a_birth_renews_everything(
    broker: Mosquitto, house: House, observer: Observer, *, is_retained: bool
) -> None:
    """Home Assistant may be told to retain its birth message."""
    with bridge_in(house, broker.port) as (bridge, connection):
        bridge.tick()
        settled(observer, connection)
        observer.forget()
        for _ in range(2):
            observer.publish("homeassistant/status", b"online", retain=is_retained)
        settled(observer, connection, "esquirell/births")
        bridge.tick()
        assert not observer.of(MAIN)
        house.later += 10
        repeatedly(bridge.tick, lambda: observer.of(BRIDGE))
        bridge.tick()
        settled(observer, connection, "esquirell/renewed")
        topics = (MAIN, BRIDGE, FETCH, AVAILABILITY)
        assert [len(observer.of(topic)) for topic in topics] == [1, 1, 1, 1]


@pytest.mark.parametrize("place", ["homeassistant", "ha"])
def test_a_birth_is_heard_beside_a_prefix_of_ones_own(
    broker: Mosquitto, house: House, observer: Observer, place: str
) -> None:
    """Home Assistant's birth stays where it was; Domoticz's comes below the prefix."""
    with bridge_in(house, broker.port, Topics(discovery_prefix="ha")) as (bridge, connection):
        bridge.tick()
        settled(observer, connection)
        observer.forget()
        observer.publish(f"{place}/status", b"online")
        settled(observer, connection, "esquirell/births")
        house.later += 10
        repeatedly(bridge.tick, lambda: observer.of("ha/device/esquirell/config"))


def test_neither_an_old_birth_nor_a_death_renews_anything(
    broker: Mosquitto, house: House, observer: Observer
) -> None:
    observer.publish("homeassistant/status", b"online", retain=True)
    with bridge_in(house, broker.port) as (bridge, connection):
        bridge.tick()
        observer.publish("homeassistant/status", b"offline")
        settled(observer, connection)
        observer.forget()
        house.later += 10
        bridge.tick()
        settled(observer, connection, "esquirell/end/2")
        assert not observer.of(MAIN)


def test_a_restarted_broker_gets_everything_again(broker: Mosquitto, house: House) -> None:
    with bridge_in(house, broker.port) as (bridge, connection):
        publisher = MqttPublisher(connection, Topics(), lambda _: 0, house.clock)
        publisher.reading(reading(), ("voltage_a",))
        bridge.tick()
        eventually(lambda: len(retained(broker.port)) == 9)
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
        refresh(house, bridge)
        settled(observer, connection)
        assert len(observer.of(AVAILABILITY)) == 1
        house.now = NOON + timedelta(seconds=181)
        refresh(house, bridge)
        assert availability("offline").json == {
            "state": "offline",
            "reason": None,
            "last_success": "2026-11-22T12:00:00.000Z",
            "failures": 0,
        }
        assert event("meter_offline").json["data"] == {"meter": "main", "reason": None}
        observer.forget()
        house.meters = [info_of(status=MeterStatus(last_success=house.now))]
        refresh(house, bridge)
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


def test_a_meter_that_was_switched_off_is_offline_without_an_event(
    broker: Mosquitto, house: House, observer: Observer
) -> None:
    on = info_of(interval=None)

    def availability(bridge: Bridge, info: MeterInfo) -> object:
        observer.forget()
        house.meters = [info]
        refresh(house, bridge)
        return observer.saw(lambda seen: seen.topic == AVAILABILITY).json["state"]

    with bridge_in(house, broker.port) as (bridge, connection):
        assert availability(bridge, on) == "online"
        off = replace(on, meter=on.meter.model_copy(update={"enabled": False}))
        assert availability(bridge, off) == "offline"
        house.meters = [on]
        refresh(house, bridge)
        settled(observer, connection)
        assert json.loads(retained(broker.port)[AVAILABILITY])["state"] == "offline"
        answered = MeterStatus(last_success=NOON + timedelta(seconds=1))
        assert availability(bridge, replace(on, status=answered)) == "online"
        settled(observer, connection, "esquirell/end/2")
        assert not observer.of("esquirell/bridge/event")


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


def test_without_discovery_nothing_is_announced(broker: Mosquitto, house: House) -> None:
    house.meters = [info_of("main"), info_of("garage")]
    topics = Topics(discovery_prefix="")
    with bridge_in(house, broker.port, topics) as (bridge, _):
        bridge.tick()
        eventually(lambda: about("garage", broker))
        house.meters.pop()
        refresh(house, bridge)
        eventually(lambda: not about("garage", broker))
        assert all(topic.startswith("esquirell/") for topic in retained(broker.port))


def test_health_is_due_at_once_and_then_each_minute() -> None:
    pace = Pace(HEALTH_S)
    assert [pace.due(now) for now in (5, 6, 64.9, 65, 66, 125)] == [
        *(True, False, False),
        *(True, False, True),
    ]


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


def test_a_meter_that_returns_is_published_again(
    broker: Mosquitto, house: House, observer: Observer
) -> None:
    with bridge_in(house, broker.port) as (bridge, connection):
        bridge.tick()
        eventually(lambda: len(about("main", broker)) == 2)
        before, house.meters = house.meters, []
        refresh(house, bridge)
        eventually(lambda: not about("main", broker))
        house.meters = before
        refresh(house, bridge)
        settled(observer, connection)
        eventually(lambda: len(about("main", broker)) == 2)
