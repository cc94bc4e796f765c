import json
import re
from typing import Any

import pytest
from support.mqtt_parts import info_of, meter, schedule

from esquirell import profiles
from esquirell.domain.errors import CommandError
from esquirell.domain.quantity import QUANTITIES
from esquirell.domain.status import MeterStatus
from esquirell.mqtt.discovery import MeterInfo, bridge_device, meter_device
from esquirell.mqtt.payload import encode
from esquirell.mqtt.topics import Topics
from esquirell.services.command_table import find

TOPICS = Topics()


def announced(info: MeterInfo, topics: Topics = TOPICS) -> Any:  # noqa: ANN401 - JSON is anything
    return json.loads(encode(meter_device(topics, info, "0.1.0")))


def test_each_quantity_of_a_profile_is_a_sensor() -> None:
    components = announced(info_of())["components"]
    profile = profiles.find("owon_pc321")
    assert set(components) == {*profile.keys, "problem", "status", "last_success", "fetch"}
    assert components["voltage_a"] == {
        "platform": "sensor",
        "unique_id": "esquirell_main_voltage_a",
        "default_entity_id": "sensor.esquirell_main_voltage_a",
        "name": "Voltage phase A",
        "device_class": "voltage",
        "state_class": "measurement",
        "unit_of_measurement": "V",
        "suggested_display_precision": 1,
        "value_template": "{{ value_json.voltage_a }}",
    }
    assert components["energy_import"]["state_class"] == "total_increasing"
    assert components["energy_import"]["unit_of_measurement"] == "kWh"


def test_a_power_factor_has_no_unit() -> None:
    assert "unit_of_measurement" not in announced(info_of())["components"]["power_factor_a"]


def test_the_device_is_described() -> None:
    described = meter(label="Main meter", area="Cellar", product_id="gqmmtjclqb7reg5p")
    device = announced(MeterInfo(described, profiles.find("owon_pc321")))["device"]
    assert device == {
        "identifiers": ["esquirell_main"],
        "name": "Main meter",
        "manufacturer": "OWON",
        "model": "PC321-W-TY",
        "model_id": "gqmmtjclqb7reg5p",
        "suggested_area": "Cellar",
        "via_device": "esquirell",
    }


def test_a_meter_of_unknown_product_has_its_service_entities() -> None:
    payload = announced(MeterInfo(meter()))
    assert payload["device"] == {
        "identifiers": ["esquirell_main"],
        "name": "main",
        "manufacturer": "Tuya",
        "via_device": "esquirell",
    }
    assert set(payload["components"]) == {"problem", "status", "last_success", "fetch"}


def test_keys_seen_beyond_the_profile_are_sensors_too() -> None:
    status = MeterStatus(keys=("voltage", "temperature", "no_quantity_of_ours"))
    info = MeterInfo(meter(profile="plug"), profiles.find("plug"), status)
    assert info.keys == ("current", "active_power", "voltage", "temperature")
    assert "temperature" in announced(info)["components"]


def test_quantities_depend_on_bridge_and_meter_the_rest_on_the_bridge_alone() -> None:
    payload = announced(info_of())
    both = ["esquirell/bridge/state", "esquirell/meter/main/availability"]
    assert [entry["topic"] for entry in payload["availability"]] == both
    assert payload["availability_mode"] == "all"
    for key, component in payload["components"].items():
        own = [entry["topic"] for entry in component.get("availability", [])]
        expected = ["esquirell/bridge/state"] if key in ("status", "last_success", "fetch") else []
        assert own == expected


def test_what_few_look_at_is_to_be_enabled_by_them() -> None:
    components = announced(info_of())["components"]
    hidden = {key for key, entity in components.items() if "enabled_by_default" in entity}
    assert {"reactive_power", "power_factor_b", "energy_import_c"} <= hidden
    assert not hidden & {"energy_import", "energy_export", "active_power", "active_power_a"}


def test_the_phases_of_a_meter_without_totals_are_shown() -> None:
    info = MeterInfo(meter(), status=MeterStatus(keys=("energy_import_a", "active_power_a")))
    components = announced(info)["components"]
    assert "enabled_by_default" not in components["energy_import_a"]


def test_a_doubtful_reading_is_a_problem_with_its_reasons() -> None:
    problem = announced(info_of())["components"]["problem"]
    assert (problem["platform"], problem["device_class"]) == ("binary_sensor", "problem")
    assert problem["entity_category"] == "diagnostic"
    assert problem["json_attributes_topic"] == "esquirell/meter/main/state"
    assert "diagnostics" in problem["json_attributes_template"]


@pytest.mark.parametrize("base", ["esquirell", "haus/zähler 1", "Home/Energy"])
def test_ids_are_unique_and_fit_for_home_assistant(base: str) -> None:
    topics = Topics(base)
    infos = [info_of("main"), info_of("bridge"), info_of("heat-pump")]
    payloads = [announced(info, topics) for info in infos]
    payloads.append(bridge_device(topics, "0.1.0", {}))
    components = [entity for payload in payloads for entity in payload["components"].values()]
    ids = [entity["unique_id"] for entity in components]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]+", one) for one in ids)
    entity_ids = [entity["default_entity_id"] for entity in components]
    assert all(re.fullmatch(r"[a-z_]+\.[a-z0-9_]+", one) for one in entity_ids)


def test_no_value_in_a_device_is_empty() -> None:
    """Home Assistant rejects the whole device for a null in it."""
    for payload in (announced(info_of()), announced(MeterInfo(meter()))):
        assert all(payload["device"].values())


def test_the_bridge_tells_whether_it_is_there() -> None:
    payload = bridge_device(Topics("home"), "0.1.0", {})
    assert payload["device"]["name"] == "esquirell (home)"  # type: ignore[index]  # JSON
    connectivity = payload["components"]["connectivity"]  # type: ignore[index]  # JSON
    assert connectivity["device_class"] == "connectivity"
    assert connectivity["state_topic"] == "home/bridge/state"
    assert "availability" not in connectivity


def test_every_quantity_can_be_announced() -> None:
    info = MeterInfo(meter(), status=MeterStatus(keys=tuple(QUANTITIES)))
    assert len(announced(info)["components"]) == len(QUANTITIES) + 4


def controls(*schedules: dict[str, object], gone: tuple[str, ...] = ()) -> Any:  # noqa: ANN401 - JSON
    """Give what the bridge's device has for these schedules, by entity id."""
    states = {str(state["name"]): state for state in schedules}
    payload = json.loads(encode(bridge_device(TOPICS, "0.1.0", states, gone)))
    found = payload["components"]
    del found["connectivity"]
    return {one.get("default_entity_id", key): one for key, one in found.items()}


CRONTAB = schedule("night", every=None, cron="0 3 * * *")


def test_an_interval_is_a_number() -> None:
    found = controls(schedule())
    number = found["number.esquirell_fetch_interval"]
    assert number["unique_id"] == "esquirell_fetch_interval"
    assert (number["unit_of_measurement"], number["min"]) == ("s", 1)
    assert found["cron_fetch"] == {"platform": "text"}


def test_every_interval_that_may_be_set_is_within_the_range_of_the_number() -> None:
    longest = controls(schedule())["number.esquirell_fetch_interval"]["max"]
    find("schedule/set", "mqtt").parse({"name": "fetch", "every": longest})
    with pytest.raises(CommandError):
        find("schedule/set", "mqtt").parse({"name": "fetch", "every": longest + 1})


def test_a_crontab_is_a_text() -> None:
    found = controls(CRONTAB)
    assert found["text.esquirell_night_cron"]["unique_id"] == "esquirell_night_cron"
    assert found["interval_night"] == {"platform": "number"}


@pytest.mark.parametrize("state", [schedule(), CRONTAB])
def test_a_schedule_has_its_controls(state: dict[str, object]) -> None:
    name = state["name"]
    found = controls(state)
    assert f"switch.esquirell_{name}_enabled" in found
    assert f"button.esquirell_{name}_run" in found
    assert found[f"sensor.esquirell_{name}_next_run"]["device_class"] == "timestamp"
    assert len(found) == 5


def test_controls_depend_on_the_bridge_alone() -> None:
    for entity in controls(schedule(), CRONTAB).values():
        if "unique_id" in entity:
            assert [one["topic"] for one in entity["availability"]] == ["esquirell/bridge/state"]


def test_what_switches_and_buttons_send_is_understood() -> None:
    found = controls(schedule())
    switch, button = found["switch.esquirell_fetch_enabled"], found["button.esquirell_fetch_run"]
    for payload in (switch["payload_on"], switch["payload_off"]):
        command, fields = TOPICS.command_of(switch["command_topic"])
        find(command, "mqtt").parse(json.loads(payload) | fields)
    command, fields = TOPICS.command_of(button["command_topic"])
    find(command, "mqtt").parse(json.loads(button["payload_press"]) | fields)


def test_settings_are_not_among_what_is_switched_off_all_at_once() -> None:
    for key, entity in controls(schedule(), CRONTAB).items():
        if key.partition(".")[0] in ("switch", "number", "text"):
            assert entity["entity_category"] == "config"


def test_a_schedule_that_is_gone_takes_all_its_controls_along() -> None:
    there = json.loads(encode(bridge_device(TOPICS, "0.1.0", {"fetch": schedule()})))
    platforms = {key: one["platform"] for key, one in there["components"].items()}
    del platforms["connectivity"]
    gone = controls(gone=("fetch",))
    assert gone == {key: {"platform": platform} for key, platform in platforms.items()}


def test_no_schedule_takes_the_place_of_another() -> None:
    """`a`'s next run and `a_next`'s run would have one name, if names came first."""
    found = controls(schedule("a"), schedule("a_next"), schedule("next_a"), gone=("a_next_run",))
    there = [entity for entity in found.values() if "unique_id" in entity]
    assert len(there) == 12
    assert len({(entity["platform"], entity["unique_id"]) for entity in there}) == 12
    assert len(found) == 12 + 3 + 5


def test_a_schedule_may_be_called_as_a_meter_is() -> None:
    of_meter = announced(info_of("fetch"))["components"].values()
    of_schedule = [one for one in controls(schedule()).values() if "unique_id" in one]
    ids = [(one["platform"], one["unique_id"]) for one in [*of_meter, *of_schedule]]
    assert len(set(ids)) == len(ids)
