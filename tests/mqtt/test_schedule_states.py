"""Schedules as a broker holds them, and in which order Home Assistant learns of changes."""

import json

import pytest
from support.mosquitto import Mosquitto
from support.mqtt_observer import Observer, retained
from support.mqtt_parts import House, bridge_in, repeatedly, schedule, settled
from support.waiting import eventually

CONTROLS = "homeassistant/device/esquirell/{}/config"
FETCH = "esquirell/schedule/fetch/state"
NIGHT = "esquirell/schedule/night/state"


def test_what_an_earlier_process_left_is_cleared_though_nothing_changes(
    broker: Mosquitto, house: House, observer: Observer
) -> None:
    with bridge_in(house, broker.port) as (bridge, connection):
        bridge.tick()
        eventually(lambda: connection.connected)
        observer.publish(NIGHT, json.dumps(schedule("night")).encode(), retain=True)
        repeatedly(bridge.tick, lambda: NIGHT not in retained(broker.port))
        assert FETCH in retained(broker.port)


def test_controls_are_announced_after_their_state(
    broker: Mosquitto, house: House, observer: Observer
) -> None:
    with bridge_in(house, broker.port) as (bridge, _):
        bridge.tick()
        observer.saw(lambda seen: seen.topic == CONTROLS.format("fetch"))
        observer.forget()
        house.schedules = {"night": schedule("night", every=None, cron="0 3 * * *")}
        bridge.tick()
        observer.saw(lambda seen: seen.topic == FETCH)
        topics = (NIGHT, FETCH, *(CONTROLS.format(name) for name in ("night", "fetch")))
        news = [seen.topic for seen in observer.messages if seen.topic in topics]
    assert news == [NIGHT, CONTROLS.format("night"), CONTROLS.format("fetch"), FETCH]
    assert [one.payload for one in observer.messages if one.topic in news[2:]] == [b"", b""]


def test_a_change_of_one_schedule_announces_no_other(
    broker: Mosquitto, house: House, observer: Observer
) -> None:
    house.schedules = {name: schedule(name) for name in ("fetch", *(f"s{n}" for n in range(50)))}
    with bridge_in(house, broker.port) as (bridge, connection):
        bridge.tick()
        settled(observer, connection, "esquirell/begin")
        sizes = [len(seen.payload) for seen in observer.messages if "/config" in seen.topic]
        assert max(sizes) < 16_000
        observer.forget()
        house.schedules = house.schedules | {"fetch": schedule(every=None, cron="0 3 * * *")}
        bridge.tick()
        settled(observer, connection, "esquirell/end")
    announced = [seen.topic for seen in observer.messages if "/config" in seen.topic]
    assert announced == [CONTROLS.format("fetch")]


def test_a_change_is_reported_and_a_run_is_not(
    broker: Mosquitto, house: House, observer: Observer
) -> None:
    with bridge_in(house, broker.port) as (bridge, _):
        bridge.tick()
        house.schedules = {"fetch": schedule(last_run_at="2026-11-22T12:00:00.000Z")}
        bridge.tick()
        house.schedules = {"fetch": schedule(every=10)}
        bridge.tick()
        observer.saw(lambda seen: seen.topic == "esquirell/bridge/event")
    (event,) = observer.of("esquirell/bridge/event")
    assert event.json["type"] == "schedule_changed"
    assert event.json["data"]["schedule"]["every"] == 10


def test_a_removal_is_reported(broker: Mosquitto, house: House, observer: Observer) -> None:
    with bridge_in(house, broker.port) as (bridge, _):
        bridge.tick()
        house.schedules = {}
        bridge.tick()
        event = observer.saw(lambda seen: seen.topic == "esquirell/bridge/event")
    assert event.json["data"] == {"name": "fetch", "schedule": None}


@pytest.mark.parametrize(("every", "told"), [(60, 3), (5, 3), (None, 3), (4, 1), (1, 1)])
def test_a_run_is_reported_at_once_unless_the_schedule_is_quick(
    broker: Mosquitto, house: House, observer: Observer, every: int | None, told: int
) -> None:
    with bridge_in(house, broker.port) as (bridge, connection):
        house.version = "one"
        for run in range(3):
            house.runs = {"fetch": f"run {run}"}
            house.schedules = {"fetch": schedule(every=every, last_run_at=f"{run}")}
            bridge.tick()
            settled(observer, connection, f"esquirell/end/{run}")
        assert len(observer.of(FETCH)) == told
        house.later += 6
        bridge.tick()
        observer.saw(lambda seen: seen.topic == FETCH and seen.json["last_run_at"] == "2")
