"""Discovery of the entities of the bridge and its schedules."""

from collections.abc import Mapping
from typing import Any

from esquirell.domain.schedule import LONGEST_INTERVAL_S
from esquirell.mqtt.entities import STATE, Entity, by_the_bridge, event, identified, named
from esquirell.mqtt.topics import Topics

_PLATFORMS = {
    "enabled": "switch",
    "interval": "number",
    "cron": "text",
    "run": "button",
    "next_run": "sensor",
}
# As [log] level in the configuration.
LEVELS = ("debug", "info", "warning", "error")


def of_bridge(topics: Topics) -> dict[str, Entity]:
    """Return the bridge's own entities, by key."""
    return {
        "connectivity": _connectivity(topics),
        "version": _version(topics),
        "log_level": _log_level(topics),
        "restart": _restart(topics),
        "event": _event(topics),
    }


def of_schedule(topics: Topics, name: str, state: Mapping[str, Any]) -> dict[str, Entity]:
    """Return the controls of a schedule; the one that does not fit its rule is removed."""
    by_interval = state["every"] is not None
    rule = {"interval": _interval} if by_interval else {"cron": _crontab}
    describe = {"enabled": _switch, "run": _run, "next_run": _next_run} | rule
    # Home Assistant removes a component that has nothing but a platform.
    return {
        key: describe[key](topics, name) if key in describe else {"platform": platform}
        for key, platform in _PLATFORMS.items()
    }


def _connectivity(topics: Topics) -> Entity:
    """Return the sensor that says whether the bridge is online; it is always available."""
    return {
        **named("binary_sensor", f"{topics.bridge_id}_connectivity", "Connection"),
        "device_class": "connectivity",
        "entity_category": "diagnostic",
        "state_topic": topics.bridge_state,
        "value_template": STATE,
        "payload_on": "online",
        "payload_off": "offline",
    }


def _version(topics: Topics) -> Entity:
    return {
        **named("sensor", f"{topics.bridge_id}_version", "Version"),
        **by_the_bridge(topics),
        "entity_category": "diagnostic",
        "icon": "mdi:tag-outline",
        "state_topic": topics.bridge_info,
        "value_template": "{{ value_json.version }}",
    }


def _log_level(topics: Topics) -> Entity:
    return {
        **named("select", f"{topics.bridge_id}_log_level", "Log level"),
        **by_the_bridge(topics),
        "entity_category": "config",
        "icon": "mdi:text-box-outline",
        "options": list(LEVELS),
        "state_topic": topics.bridge_info,
        "value_template": "{{ value_json.log_level }}",
        "command_topic": topics.request("log_level"),
        "command_template": '{"level":"{{ value }}"}',
    }


def _restart(topics: Topics) -> Entity:
    return {
        **identified("button", f"{topics.bridge_id}_restart"),
        **by_the_bridge(topics),
        "device_class": "restart",
        "entity_category": "config",
        "command_topic": topics.request("restart"),
        "payload_press": "{}",
    }


def _event(topics: Topics) -> Entity:
    condition = "value_json.type == 'schedule_changed'"
    types = ("schedule_changed",)
    return event(topics, f"{topics.bridge_id}_event", condition, "value_json.type", types)


def _control(topics: Topics, name: str, key: str, label: str) -> Entity:
    spoken = name.replace("_", " ").replace("-", " ")
    title = f"Schedule {spoken} {label}".rstrip()
    return {**identified(_PLATFORMS[key], topics.meter_id(name, key)), "name": title}


def _switch(topics: Topics, name: str) -> Entity:
    return {
        **_control(topics, name, "enabled", ""),
        "icon": "mdi:calendar-clock",
        # Not among the controls, where "turn everything off" would stop the measuring as well.
        "entity_category": "config",
        "value_template": "{{ 'ON' if value_json.enabled else 'OFF' }}",
        "state_on": "ON",
        "state_off": "OFF",
        "command_topic": topics.schedule_set(name),
        "payload_on": '{"enabled":true}',
        "payload_off": '{"enabled":false}',
    }


def _interval(topics: Topics, name: str) -> Entity:
    return {
        **_control(topics, name, "interval", "interval"),
        "device_class": "duration",
        "unit_of_measurement": "s",
        "entity_category": "config",
        "mode": "box",
        "min": 1,
        "max": LONGEST_INTERVAL_S,
        "value_template": "{{ value_json.every }}",
        "command_topic": topics.schedule_set(name),
        "command_template": '{"every":{{ value | int }}}',
    }


def _crontab(topics: Topics, name: str) -> Entity:
    return {
        **_control(topics, name, "cron", "crontab"),
        "icon": "mdi:calendar-text",
        "entity_category": "config",
        "value_template": "{{ value_json.cron or '' }}",
        "command_topic": topics.schedule_set(name),
        "command_template": "{{ {'cron': value} | tojson }}",
    }


def _run(topics: Topics, name: str) -> Entity:
    return {
        **_control(topics, name, "run", "run now"),
        "icon": "mdi:play",
        "command_topic": topics.schedule_run(name),
        "payload_press": "{}",
    }


def _next_run(topics: Topics, name: str) -> Entity:
    return {
        **_control(topics, name, "next_run", "next run"),
        "device_class": "timestamp",
        "entity_category": "diagnostic",
        # Enabled by default, it would add an entry to Home Assistant's Activity at every run.
        "enabled_by_default": False,
        "value_template": "{{ value_json.next_run_at }}",
    }
