"""What stays on the broker of a meter that is offline."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Literal

import pytest
from support.mosquitto import Mosquitto
from support.mqtt_observer import Observer, retained
from support.mqtt_parts import (
    AVAILABILITY,
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
from esquirell.mqtt.publisher import MqttPublisher
from esquirell.mqtt.topics import Topics

SAID = {
    "measured_at": "2026-11-22T12:00:00.000Z",
    "active_power": 900.0,
    "energy_import": 7.5,
    "diagnostics": {"fault": 4},
}
METER = "esquirell/meter/main/state"


def test_a_meter_that_was_switched_off_stays_offline_over_a_restart_until_it_answers(
    broker: Mosquitto, house: House, observer: Observer
) -> None:
    house.meters = [info_of(interval=None)]
    status = house.meters[0].status
    left = json.dumps(status.payload() | {"state": "offline"}).encode()
    observer.publish(AVAILABILITY, left, retain=True)
    with bridge_in(house, broker.port) as (bridge, connection):
        refresh(house, bridge)
        settled(observer, connection)
        assert retained(broker.port)[AVAILABILITY] == left
        house.meters = [info_of(status=replace(status, last_success=NOON + timedelta(seconds=1)))]
        refresh(house, bridge)
        observer.saw(lambda seen: seen.topic == AVAILABILITY and seen.json["state"] == "online")


def state_of_main(broker: Mosquitto) -> object:
    return json.loads(retained(broker.port).get(METER, b"null"))


@pytest.mark.parametrize("case", ["overdue", "disabled", "failed", "left out"])
def test_the_state_of_an_offline_meter_loses_what_no_longer_holds(
    broker: Mosquitto, house: House, observer: Observer, case: str
) -> None:
    """An earlier process has published it: counters are what it said."""
    observer.publish(METER, json.dumps(SAID).encode(), retain=True)
    on = info_of(interval=100)
    failed = MeterStatus(failures=2, reason="unreachable", last_success=NOON)
    off = replace(on, meter=on.meter.model_copy(update={"enabled": False}))
    house.meters = {"overdue": [on], "disabled": [off], "failed": [replace(on, status=failed)]}.get(
        case, []
    )
    if case == "left out":
        house.left_out = {"main": MeterStatus(last_success=NOON)}
    with bridge_in(house, broker.port) as (bridge, connection):
        house.now = NOON + timedelta(seconds=180 if case == "left out" else 300)
        refresh(house, bridge)
        settled(observer, connection)
        assert state_of_main(broker) == SAID
        house.now += timedelta(seconds=1)
        left = SAID | {"active_power": None}
        repeatedly(lambda: refresh(house, bridge), lambda: state_of_main(broker) == left)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_worker_elsewhere_publishes_the_state_of_a_meter_that_was_offline(
    broker: Mosquitto, house: House, observer: Observer, protocol: Literal["5", "3.1.1"]
) -> None:
    left, newer = SAID | {"active_power": None}, SAID | {"measured_at": "2026-11-22T12:10:00.000Z"}
    observer.publish(METER, json.dumps(SAID).encode(), retain=True)
    house.now = NOON + timedelta(seconds=181)
    with bridge_in(house, broker.port, protocol=protocol) as (bridge, connection):
        repeatedly(lambda: refresh(house, bridge), lambda: state_of_main(broker) == left)
        # It connects anew, and publishes again what it said last.
        observer.publish(METER, json.dumps(SAID).encode(), retain=True)
        eventually(lambda: state_of_main(broker) == left)
        observer.publish(METER, json.dumps(newer).encode(), retain=True)
        eventually(lambda: connection.retained(METER) is None)
        connection.renew()
        settled(observer, connection)
        assert state_of_main(broker) == newer


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_the_newest_of_many_states_stays(
    broker: Mosquitto, house: House, observer: Observer, protocol: Literal["5", "3.1.1"]
) -> None:
    """Over MQTT 3.1.1 each comes back, when newer ones are already under way."""
    with bridge_in(house, broker.port, protocol=protocol) as (bridge, connection):
        publisher = MqttPublisher(connection, Topics(), lambda _: 0, house.clock)
        bridge.tick()
        for second in range(1000):
            publisher.reading(reading(second, voltage_a=second), ("voltage_a",))
        settled(observer, connection)
        newest = connection.retained(METER)
        assert newest is not None
        assert json.loads(newest)["voltage_a"] == 999
        assert retained(broker.port)[METER] == newest
