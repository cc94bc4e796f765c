"""What Home Assistant learns of a meter and of the bridge."""

import json
import re
from dataclasses import replace
from typing import Any, get_args

import pytest
from jinja2 import Template
from support.mqtt_parts import info_of, meter, schedule

from esquirell import profiles
from esquirell.domain.command import Source
from esquirell.domain.profile import Profile
from esquirell.domain.quantity import QUANTITIES
from esquirell.domain.reading import MeterStatus
from esquirell.domain.requests import Level
from esquirell.mqtt.controls import of_bridge
from esquirell.mqtt.discovery import (
    About,
    MeterInfo,
    base_topic_of,
    bridge_device,
    meter_device,
    schedule_device,
)
from esquirell.mqtt.entities import Entity
from esquirell.mqtt.outbox import encode
from esquirell.mqtt.topics import Topics
from esquirell.services.command_table import find
from esquirell.settings.sections import LogSettings

TOPICS = Topics()
ABOUT = About("0.1.0", "http://house.local:8155/")
SERVICE = {"problem", "status", "last_success", "event", "fetch"}
# Of a meter without a tariff, or without faults, these remove an earlier one.
BESIDE = {"cost_today", "cost_this_month", "fault"}


def announced(info: MeterInfo, topics: Topics = TOPICS) -> Any:  # noqa: ANN401 - JSON is anything
    return json.loads(encode(meter_device(topics, info, ABOUT)))


def test_each_quantity_of_a_profile_is_a_sensor() -> None:
    components = announced(info_of())["components"]
    profile = profiles.find("owon_pc321")
    assert set(components) == {*profile.keys, *SERVICE, *BESIDE}
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
    profile = profiles.find("owon_pc321")
    info = MeterInfo(described, profile, mac="a0:b1:c2:d3:e4:f5", serial="10012345")
    device = announced(info)["device"]
    assert device == {
        "identifiers": ["esquirell_main"],
        "connections": [["mac", "a0:b1:c2:d3:e4:f5"]],
        "name": "Main meter",
        "manufacturer": "OWON",
        "model": "PC321-W-TY",
        "model_id": "gqmmtjclqb7reg5p",
        "serial_number": "10012345",
        "suggested_area": "Cellar",
        "configuration_url": "http://house.local:8155/",
        "via_device": "esquirell",
    }


def test_a_meter_of_unknown_product_has_its_service_entities() -> None:
    payload = announced(MeterInfo(meter()))
    assert payload["device"] == {
        "identifiers": ["esquirell_main"],
        "name": "main",
        "manufacturer": "Tuya",
        "configuration_url": "http://house.local:8155/",
        "via_device": "esquirell",
    }
    assert set(payload["components"]) == SERVICE | BESIDE


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
        expected = ["esquirell/bridge/state"] if key in SERVICE - {"problem"} else []
        assert own == expected


def test_rarely_used_entities_are_disabled_at_first() -> None:
    components = announced(info_of())["components"]
    hidden = {key for key, entity in components.items() if "enabled_by_default" in entity}
    assert {"reactive_power", "power_factor_b", "energy_import_c"} <= hidden
    assert not hidden & {"energy_import", "energy_export", "active_power", "active_power_a"}


def test_the_phases_of_a_meter_without_totals_are_shown() -> None:
    info = MeterInfo(meter(), status=MeterStatus(keys=("energy_import_a", "active_power_a")))
    components = announced(info)["components"]
    assert "enabled_by_default" not in components["energy_import_a"]


@pytest.mark.parametrize(
    ("reported", "state"),
    [
        *[(None, "None"), (0, "OFF"), (4, "ON"), ("0", "OFF"), ("4", "ON")],
        *[(False, "OFF"), (True, "ON")],
        # There are texts and lists for faults, and for none.
        *[("over_voltage", "None"), ("AAE=", "None"), ([1], "None"), ({}, "None")],
    ],
)
def test_a_fault_is_unknown_where_the_device_reports_no_number(
    reported: object, state: str
) -> None:
    template = announced(MeterInfo(meter(), profiles.find("breaker")))["components"]["fault"]
    rendered = Template(template["value_template"])
    assert rendered.render(value_json={"diagnostics": {"fault": reported}}) == state


def test_a_fault_that_the_device_reports_is_a_problem() -> None:
    breaker = MeterInfo(meter(), profiles.find("breaker"))
    fault = announced(breaker)["components"]["fault"]
    assert (fault["platform"], fault["device_class"]) == ("binary_sensor", "problem")
    assert (fault["name"], fault["entity_category"]) == ("Fault", "diagnostic")
    assert announced(info_of())["components"]["fault"] == {"platform": "binary_sensor"}


def test_a_doubtful_reading_is_a_problem() -> None:
    problem = announced(info_of())["components"]["problem"]
    assert (problem["platform"], problem["device_class"]) == ("binary_sensor", "problem")
    assert problem["entity_category"] == "diagnostic"


def test_nothing_that_changes_at_each_poll_is_enabled_or_an_attribute() -> None:
    """Each change would be an entry in Activity, and a row in the recorder."""
    payloads = [announced(info_of()), schedule_message(schedule())]
    for payload in payloads:
        for entity in payload["components"].values():
            assert "json_attributes_topic" not in entity
            if entity.get("device_class") == "timestamp":
                assert entity["enabled_by_default"] is False


def named(keys: tuple[str, ...], profile: str = "owon_pc321") -> dict[str, str | None]:
    status = MeterStatus(keys=keys)
    components = announced(MeterInfo(meter(), profiles.find(profile), status))["components"]
    return {key: components[key].get("name") for key in keys}


def test_entities_named_by_their_device_class_have_no_name() -> None:
    of_class = (
        *("voltage", "current", "active_power", "reactive_power", "apparent_power"),
        *("power_factor", "frequency", "temperature", "state_of_charge"),
    )
    assert set(named(of_class).values()) == {None}
    assert named(("energy_import", "energy_export", "leakage_current", "voltage_a")) == {
        "energy_import": "Energy import",
        "energy_export": "Energy export",
        "leakage_current": "Leakage current",
        "voltage_a": "Voltage phase A",
    }
    assert named(("active_power_pv1", "active_power_ac", "active_power_battery")) == {
        "active_power_pv1": "Power PV1",
        "active_power_ac": "Power AC",
        "active_power_battery": "Power battery",
    }


def test_an_inverter_produces() -> None:
    assert named(("energy_export",), "inverter_wvc") == {"energy_export": "Energy produced"}
    of_inverter = announced(MeterInfo(meter(), profiles.find("inverter_wvc")))["components"]
    assert of_inverter["energy_export"]["icon"] == "mdi:solar-power"
    assert of_inverter["energy_export"]["unique_id"] == "esquirell_main_energy_export"
    of_meter = announced(info_of())["components"]["energy_export"]
    assert of_meter["icon"] == "mdi:transmission-tower-export"


@pytest.mark.parametrize(
    ("profile", "shown"),
    [
        ("inverter_wvc", {"active_power", "active_power_pv1"}),
        ("inverter_tronic", {"active_power_a", "active_power_pv1"}),
        ("inverter_gtb", {"active_power", "active_power_pv1", "active_power_pv2"}),
        ("owon_pc321", {"active_power", "active_power_a", "active_power_b", "active_power_c"}),
    ],
)
def test_only_one_of_several_equal_powers_is_shown(profile: str, shown: set[str]) -> None:
    components = announced(MeterInfo(meter(), profiles.find(profile)))["components"]
    powers = {key for key in components if key.startswith("active_power")}
    assert {key for key in powers if "enabled_by_default" not in components[key]} == shown


def test_two_decimals_of_an_ampere_are_enough() -> None:
    current = announced(info_of())["components"]["current_a"]
    assert current["suggested_display_precision"] == 2


@pytest.mark.parametrize("base", ["esquirell", "haus/zähler 1", "Home/Energy"])
def test_ids_are_unique_and_fit_for_home_assistant(base: str) -> None:
    topics = Topics(base)
    infos = [info_of("main"), info_of("bridge"), info_of("heat-pump")]
    payloads = [announced(info, topics) for info in infos]
    payloads.append(json.loads(encode(bridge_device(topics, ABOUT))))
    every = [entity for payload in payloads for entity in payload["components"].values()]
    components = [entity for entity in every if "unique_id" in entity]
    ids = [entity["unique_id"] for entity in components]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]+", one) for one in ids)
    entity_ids = [entity["default_entity_id"] for entity in components]
    assert all(re.fullmatch(r"[a-z_]+\.[a-z0-9_]+", one) for one in entity_ids)


def test_no_value_in_a_device_is_empty() -> None:
    """Home Assistant rejects the whole device for a null in it."""
    for payload in (announced(info_of()), announced(MeterInfo(meter()))):
        assert all(payload["device"].values())


def test_the_bridge_has_its_own_entities() -> None:
    payload = json.loads(encode(bridge_device(Topics("home"), ABOUT)))
    assert payload["device"]["name"] == "esquirell (home)"
    assert payload["device"]["sw_version"] == "0.1.0"
    connectivity = payload["components"]["connectivity"]
    assert connectivity["device_class"] == "connectivity"
    assert connectivity["state_topic"] == "home/bridge/state"
    assert "availability" not in connectivity
    assert set(payload["components"]) == set(of_bridge(TOPICS))


def test_the_levels_that_can_be_chosen_are_those_of_the_configuration() -> None:
    select = of_bridge(TOPICS)["log_level"]
    level = LogSettings.model_fields["level"].annotation
    assert select["options"] == list(get_args(level)) == list(get_args(Level))
    payload = str(select["command_template"]).replace("{{ value }}", "debug")
    assert find(*command_of(select)).parse(json.loads(payload)).level == "debug"
    assert find(*command_of(of_bridge(TOPICS)["restart"]))


def command_of(entity: Entity) -> tuple[str, Source]:
    return TOPICS.command_of(str(entity["command_topic"]))[0], "mqtt"


def test_components_of_earlier_announcements_are_removed() -> None:
    components = bridge_device(TOPICS, ABOUT, {"run_fetch": "button"})["components"]
    assert isinstance(components, dict)
    assert components["run_fetch"] == {"platform": "button"}


def test_an_announcement_says_by_which_base_topic_it_was_made() -> None:
    topics = Topics("haus/zähler 1")
    messages = [
        bridge_device(topics, ABOUT),
        meter_device(topics, info_of(), ABOUT),
        schedule_device(topics, ABOUT, "fetch", schedule()),
    ]
    assert {base_topic_of(encode(one)) for one in messages} == {"haus/zähler 1"}


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"{}",
        b'{"origin": {"name": "zigbee2mqtt"}, "availability": [{"topic": "a/bridge/state"}]}',
        b'{"origin": {"name": "esquirell"}, "components": {}}',
        b'{"origin": "esquirell"}',
    ],
)
def test_announcements_of_others_are_not_ours(payload: bytes) -> None:
    assert base_topic_of(payload) is None


def test_every_quantity_can_be_announced() -> None:
    info = MeterInfo(meter(), status=MeterStatus(keys=tuple(QUANTITIES)))
    assert len(announced(info)["components"]) == len(QUANTITIES) + len(SERVICE | BESIDE)


def schedule_message(state: dict[str, object]) -> Any:  # noqa: ANN401 - JSON is anything
    return json.loads(encode(schedule_device(TOPICS, ABOUT, str(state["name"]), state)))


def test_a_product_is_known_by_what_it_measures() -> None:
    assert info_of().is_known
    assert not replace(info_of(), profile=None).is_known
    assert not replace(info_of(), profile=Profile(name="none", title="", datapoints={})).is_known
