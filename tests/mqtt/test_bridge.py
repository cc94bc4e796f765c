import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from support.mosquitto import Mosquitto
from support.mqtt_observer import Observer, Seen, retained
from support.mqtt_parts import NOON, House, bridge_in, info_of, reading, refresh, repeatedly
from support.waiting import eventually

from esquirell.domain.errors import UnavailableError
from esquirell.domain.status import MeterStatus
from esquirell.mqtt.bridge import HEALTH_S
from esquirell.mqtt.claim import Claim
from esquirell.mqtt.client import Connection
from esquirell.mqtt.memory import Memory, Place
from esquirell.mqtt.options import Options
from esquirell.mqtt.pace import Pace
from esquirell.mqtt.publisher import MqttPublisher
from esquirell.mqtt.topics import Topics

MAIN = "homeassistant/device/esquirell_main/config"
BRIDGE = "homeassistant/device/esquirell/config"
FETCH = "homeassistant/device/esquirell/fetch/config"
AVAILABILITY = "esquirell/meter/main/availability"
STATE = "esquirell/bridge/state"


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def observer(broker: Mosquitto) -> Iterator[Observer]:
    with Observer(broker.port) as one:
        yield one


def settled(observer: Observer, connection: Connection, mark: str = "esquirell/end") -> None:
    """Wait until everything published so far has arrived."""
    connection.publish(mark, {})
    observer.saw(lambda seen: seen.topic == mark)


def test_all_is_there_after_the_first_turn(broker: Mosquitto, house: House) -> None:
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


def test_online_comes_after_everything_else(
    broker: Mosquitto, house: House, observer: Observer
) -> None:
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


def test_a_birth_renews_everything(broker: Mosquitto, house: House, observer: Observer) -> None:
    with bridge_in(house, broker.port) as (bridge, connection):
        bridge.tick()
        settled(observer, connection)
        observer.forget()
        observer.publish("homeassistant/status", b"online")
        observer.publish("homeassistant/status", b"online")
        settled(observer, connection, "esquirell/births")
        bridge.tick()
        assert not observer.of(MAIN)
        house.later += 10
        repeatedly(bridge.tick, lambda: observer.of(BRIDGE))
        bridge.tick()
        settled(observer, connection, "esquirell/renewed")
        topics = (MAIN, BRIDGE, FETCH, AVAILABILITY)
        assert [len(observer.of(topic)) for topic in topics] == [1, 1, 1, 1]


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
        refresh(house, bridge)
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
        repeatedly(lambda: refresh(house, bridge), lambda: not _about("garage", broker))
        assert len(_about("main", broker)) == 2


def test_what_is_no_meter_of_ours_is_cleared_without_harm(
    broker: Mosquitto, house: House, observer: Observer
) -> None:
    for name in ("", "Größe 1", "$x"):
        observer.publish(f"esquirell/meter/{name}/availability", b"?", retain=True)
    with bridge_in(house, broker.port) as (bridge, _):
        repeatedly(lambda: refresh(house, bridge), lambda: len(_about("meter/", broker)) == 1)
        assert {BRIDGE, MAIN} <= retained(broker.port).keys()


def _about(name: str, broker: Mosquitto) -> list[str]:
    """Return the retained topics about a meter."""
    return [topic for topic in retained(broker.port) if name in topic]


@pytest.mark.parametrize("other", ["esquirell2", "esquirell/garage", "esquirell_garage", "garage"])
def test_the_devices_of_another_base_topic_are_left_alone(
    broker: Mosquitto, house: House, other: str
) -> None:
    neighbour = House()
    neighbour.meters = [info_of("theirs")]
    topics = Topics(other)
    with bridge_in(neighbour, broker.port, topics) as (bridge, _):
        bridge.tick()
        eventually(lambda: len(_about("theirs", broker)) == 2)
        before = {topic: text for topic, text in retained(broker.port).items() if other in topic}
        with bridge_in(house, broker.port) as (ours, connection):
            eventually(lambda: connection.connected)
            repeatedly(lambda: refresh(house, ours), lambda: len(_about("main", broker)) == 2)
        after = retained(broker.port)
    assert {topic: after.get(topic) for topic in before} == before


def test_a_database_that_is_away_removes_nothing(broker: Mosquitto, house: House) -> None:
    with bridge_in(house, broker.port) as (bridge, _):
        bridge.tick()
        eventually(lambda: len(_about("main", broker)) == 2)
    house.error = UnavailableError("the database is unreachable")
    with bridge_in(house, broker.port) as (bridge, connection):
        refresh(house, bridge)
        settled_by = len(_about("main", broker))
        assert settled_by == 2
        assert connection.connected
        house.error = None
        refresh(house, bridge)
        assert len(_about("main", broker)) == 2


def test_without_discovery_nothing_is_announced(broker: Mosquitto, house: House) -> None:
    house.meters = [info_of("main"), info_of("garage")]
    topics = Topics(discovery_prefix="")
    with bridge_in(house, broker.port, topics) as (bridge, _):
        bridge.tick()
        eventually(lambda: _about("garage", broker))
        house.meters.pop()
        refresh(house, bridge)
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
        repeatedly(lambda: refresh(house, bridge), lambda: COST not in retained(broker.port))
        observer.saw(lambda seen: seen.topic == MAIN and b'"cost_today"' in seen.payload)
        components = json.loads(retained(broker.port)[MAIN])["components"]
    assert components["cost_today"] == components["cost_this_month"] == {"platform": "sensor"}


def test_a_cost_stays_while_there_is_a_tariff_and_goes_with_its_meter(
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


def test_a_meter_that_comes_back_is_published_anew(
    broker: Mosquitto, house: House, observer: Observer
) -> None:
    with bridge_in(house, broker.port) as (bridge, connection):
        bridge.tick()
        eventually(lambda: len(_about("main", broker)) == 2)
        before, house.meters = house.meters, []
        refresh(house, bridge)
        eventually(lambda: not _about("main", broker))
        house.meters = before
        refresh(house, bridge)
        settled(observer, connection)
        eventually(lambda: len(_about("main", broker)) == 2)


def test_what_was_removed_while_home_assistant_was_away_is_removed_at_its_birth(
    broker: Mosquitto, house: House, observer: Observer, tmp_path: Path
) -> None:
    """It forgets only what it is told of, and then told to forget, while it runs."""
    house.meters = [info_of("main"), info_of("garage")]
    garage, file = "homeassistant/device/esquirell_garage/config", tmp_path / "mqtt.json"
    with bridge_in(house, broker.port, memory=Memory(file)) as (bridge, _):
        bridge.tick()
        announced = observer.saw(lambda seen: seen.topic == garage).payload
        house.meters.pop()
        house.schedules = {}
        refresh(house, bridge)
        eventually(lambda: not _about("garage", broker))
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
def test_what_was_published_elsewhere_before_is_cleared(
    broker: Mosquitto, house: House, observer: Observer, earlier: Topics, kept: set[str]
) -> None:
    memory = Memory()
    with bridge_in(house, broker.port, earlier, memory=memory) as (bridge, connection):
        bridge.tick()
        MqttPublisher(connection, earlier, lambda _: 0, house.clock).reading(reading(), ())
        settled(observer, connection, "moved/end")
    for topic in kept:
        observer.publish(topic, b'{"origin":{"name":"other"}}', retain=True)
    assert _about(earlier.discovery_prefix, broker)
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
        eventually(lambda: _about("main", broker))
        assert "energy/bridge/state" in retained(broker.port)
    theirs.stop(5)


def test_controls_in_one_message_of_before_move_to_messages_of_their_own(
    broker: Mosquitto, house: House, observer: Observer
) -> None:
    """As an earlier release announced schedules; their ids are the same."""
    components = {
        "connectivity": {"platform": "binary_sensor", "state_topic": STATE},
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
