"""The controls of schedules in Home Assistant."""

import json
from typing import Any

import pytest
from support.mqtt_parts import info_of, schedule

from esquirell.domain.command import Source
from esquirell.domain.errors import CommandError
from esquirell.mqtt.discovery import (
    About,
    MeterInfo,
    meter_device,
    schedule_device,
)
from esquirell.mqtt.entities import Entity
from esquirell.mqtt.outbox import encode
from esquirell.mqtt.topics import Topics
from esquirell.services.command_table import find

TOPICS = Topics()
ABOUT = About("0.1.0", "http://house.local:8155/")


def announced(info: MeterInfo, topics: Topics = TOPICS) -> Any:  # noqa: ANN401 - JSON is anything
    return json.loads(encode(meter_device(topics, info, ABOUT)))


def command_of(entity: Entity) -> tuple[str, Source]:
    return TOPICS.command_of(str(entity["command_topic"]))[0], "mqtt"


def schedule_message(state: dict[str, object]) -> Any:  # noqa: ANN401 - JSON is anything
    return json.loads(encode(schedule_device(TOPICS, ABOUT, str(state["name"]), state)))


def controls(*schedules: dict[str, object]) -> Any:  # noqa: ANN401 - JSON is anything
    """Return what the bridge's device has for these schedules, by entity id."""
    messages = [schedule_message(state)["components"] for state in schedules]
    return {
        one.get("default_entity_id", key): one
        for message in messages
        for key, one in message.items()
    }


CRONTAB = schedule("night", every=None, cron="0 3 * * *")


def test_an_interval_is_a_number() -> None:
    found = controls(schedule())
    number = found["number.esquirell_fetch_interval"]
    assert number["unique_id"] == "esquirell_fetch_interval"
    assert (number["unit_of_measurement"], number["min"]) == ("s", 1)
    assert found["cron"] == {"platform": "text"}


def test_every_interval_that_may_be_set_is_within_the_range_of_the_number() -> None:
    longest = controls(schedule())["number.esquirell_fetch_interval"]["max"]
    find("schedule/set", "mqtt").parse({"name": "fetch", "every": longest})
    with pytest.raises(CommandError):
        find("schedule/set", "mqtt").parse({"name": "fetch", "every": longest + 1})


def test_a_crontab_is_a_text() -> None:
    found = controls(CRONTAB)
    assert found["text.esquirell_night_cron"]["unique_id"] == "esquirell_night_cron"
    assert found["interval"] == {"platform": "number"}


@pytest.mark.parametrize("state", [schedule(), CRONTAB])
def test_a_schedule_has_its_controls(state: dict[str, object]) -> None:
    name = state["name"]
    found = controls(state)
    assert f"switch.esquirell_{name}_enabled" in found
    assert f"button.esquirell_{name}_run" in found
    assert found[f"sensor.esquirell_{name}_next_run"]["device_class"] == "timestamp"
    assert len(found) == 5


def test_controls_depend_on_the_bridge_alone() -> None:
    for state in (schedule(), CRONTAB):
        message = schedule_message(state)
        assert [one["topic"] for one in message["availability"]] == ["esquirell/bridge/state"]
        assert message["state_topic"] == f"esquirell/schedule/{state['name']}/state"
        assert message["device"]["identifiers"] == ["esquirell"]


def test_what_switches_and_buttons_send_is_understood() -> None:
    found = controls(schedule())
    switch, button = found["switch.esquirell_fetch_enabled"], found["button.esquirell_fetch_run"]
    for payload, enabled in (switch["payload_on"], True), (switch["payload_off"], False):
        command, fields = TOPICS.command_of(switch["command_topic"])
        assert command == "schedule/set"
        change = find(command, "mqtt").parse(json.loads(payload) | fields)
        assert (change.name, change.fields) == ("fetch", {"enabled": enabled})
    assert (switch["state_on"], switch["state_off"]) == ("ON", "OFF")
    assert switch["value_template"] == "{{ 'ON' if value_json.enabled else 'OFF' }}"
    command, fields = TOPICS.command_of(button["command_topic"])
    assert find(command, "mqtt").parse(json.loads(button["payload_press"]) | fields).name == "fetch"


def test_settings_are_not_among_what_is_switched_off_all_at_once() -> None:
    for key, entity in controls(schedule(), CRONTAB).items():
        if key.partition(".")[0] in ("switch", "number", "text"):
            assert entity["entity_category"] == "config"


def test_no_schedule_takes_the_place_of_another() -> None:
    """`a`'s next run and `a_next`'s run must not have one id."""
    names = ("a", "a_next", "next_a", "a_next_run")
    there = [
        entity
        for name in names
        for entity in controls(schedule(name)).values()
        if "unique_id" in entity
    ]
    assert len({(entity["platform"], entity["unique_id"]) for entity in there}) == 16
    assert len({TOPICS.schedule_discovery(name) for name in names}) == 4


def test_a_schedule_is_announced_in_little_space() -> None:
    name = "a-schedule-with-a-name-that-is-as-long-as-many-people-like-it"
    assert len(encode(schedule_device(TOPICS, ABOUT, name, schedule(name)))) < 4000


def test_a_schedule_may_be_called_as_a_meter_is() -> None:
    every = announced(info_of("fetch"))["components"].values()
    of_meter = [one for one in every if "unique_id" in one]
    of_schedule = [one for one in controls(schedule()).values() if "unique_id" in one]
    ids = [(one["platform"], one["unique_id"]) for one in [*of_meter, *of_schedule]]
    assert len(set(ids)) == len(ids)
