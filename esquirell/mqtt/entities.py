"""The entities of meters and schedules as Home Assistant is told of them."""

from collections.abc import Iterator, Mapping
from typing import Any

from esquirell.domain.quantity import PHASES, label_of, split_key
from esquirell.domain.schedule import LONGEST_INTERVAL_S
from esquirell.mqtt.topics import Topics, entity_id

Entity = dict[str, object]

STATE = "{{ value_json.state }}"
REASONS = ("unreachable", "no_data", "busy", "cloud_error", "wrong_key", "wrong_protocol")

_ICONS = {
    "energy_import": "mdi:transmission-tower-import",
    "energy_export": "mdi:transmission-tower-export",
    "energy_generated": "mdi:solar-power",
    "energy_charged": "mdi:battery-arrow-up",
    "energy_discharged": "mdi:battery-arrow-down",
}
_CONTROLS = {
    "enabled": "switch",
    "interval": "number",
    "cron": "text",
    "run": "button",
    "next_run": "sensor",
}
_FOR_SPECIALISTS = ("reactive_power", "apparent_power", "power_factor")
_PHASES_FOR_SPECIALISTS = ("energy_import", "energy_export")


def quantity(topics: Topics, meter: str, key: str, keys: tuple[str, ...]) -> Entity:
    """Describe the sensor of one quantity; `keys` are all of the meter."""
    kind, _ = split_key(key)
    optional: Entity = {
        "unit_of_measurement": kind.unit,
        "icon": _ICONS.get(kind.key),
        "entity_category": "diagnostic" if kind.key == "temperature" else None,
    }
    return {
        **named("sensor", topics.meter_id(meter, key), _label(key)),
        "device_class": kind.device_class,
        "state_class": kind.state_class,
        "suggested_display_precision": kind.precision,
        "value_template": f"{{{{ value_json.{key} }}}}",
        **{name: value for name, value in optional.items() if value},
        **({} if _shown_at_first(key, keys) else {"enabled_by_default": False}),
    }


def problem(topics: Topics, meter: str) -> Entity:
    """Describe the sensor that tells whether readings are doubted, with the reasons."""
    warnings = "value_json.diagnostics.get('warnings', [])"
    return {
        **named("binary_sensor", topics.meter_id(meter, "problem"), "Readings"),
        "device_class": "problem",
        "entity_category": "diagnostic",
        "value_template": f"{{{{ 'ON' if {warnings} else 'OFF' }}}}",
        "json_attributes_topic": topics.meter_state(meter),
        "json_attributes_template": f"{{{{ {{'warnings': {warnings}}} | tojson }}}}",
    }


def service(topics: Topics, meter: str) -> Iterator[tuple[str, Entity]]:
    """Describe the entities that work while the meter does not answer, by their keys."""
    yield "status", _status(topics, meter)
    yield "last_success", _last_success(topics, meter)
    yield "fetch", _fetch(topics, meter)


def connectivity(topics: Topics) -> Entity:
    """Describe the sensor that tells whether the bridge is there; it is available always."""
    return {
        **named("binary_sensor", f"{topics.bridge_id}_connectivity", "Connection"),
        "device_class": "connectivity",
        "entity_category": "diagnostic",
        "state_topic": topics.bridge_state,
        "value_template": STATE,
        "payload_on": "online",
        "payload_off": "offline",
    }


def schedule(topics: Topics, name: str, state: Mapping[str, Any]) -> dict[str, Entity]:
    """Describe the controls of a schedule; the one that does not fit its rule is taken away."""
    by_interval = state["every"] is not None
    rule = {"interval": _interval} if by_interval else {"cron": _crontab}
    controls = {"enabled": _switch, "run": _run, "next_run": _next_run} | rule
    there = {_place(key, name): describe(topics, name) for key, describe in controls.items()}
    return no_schedule(name) | there


def no_schedule(name: str) -> dict[str, Entity]:
    """Take the controls of a schedule away: Home Assistant removes what has a platform alone."""
    return {_place(key, name): {"platform": platform} for key, platform in _CONTROLS.items()}


def _place(key: str, name: str) -> str:
    """Name a control within the message; the key comes first, as a name may end like a key."""
    return f"{key}_{name}"


def _control(topics: Topics, name: str, key: str, label: str) -> Entity:
    spoken = name.replace("_", " ").replace("-", " ")
    title = f"Schedule {spoken} {label}".rstrip()
    return {
        **named(_CONTROLS[key], topics.meter_id(name, key), title),
        **by_the_bridge(topics),
    }


def _switch(topics: Topics, name: str) -> Entity:
    return {
        **_control(topics, name, "enabled", ""),
        "icon": "mdi:calendar-clock",
        # Not among the controls, where "turn everything off" would stop the measuring, too.
        "entity_category": "config",
        "state_topic": topics.schedule_state(name),
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
        "state_topic": topics.schedule_state(name),
        "value_template": "{{ value_json.every }}",
        "command_topic": topics.schedule_set(name),
        "command_template": '{"every":{{ value | int }}}',
    }


def _crontab(topics: Topics, name: str) -> Entity:
    return {
        **_control(topics, name, "cron", "crontab"),
        "icon": "mdi:calendar-text",
        "entity_category": "config",
        "state_topic": topics.schedule_state(name),
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
        "state_topic": topics.schedule_state(name),
        "value_template": "{{ value_json.next_run_at }}",
    }


def named(platform: str, unique_id: str, name: str) -> Entity:
    """Begin the description of an entity."""
    return {
        "platform": platform,
        "unique_id": unique_id,
        "default_entity_id": entity_id(platform, unique_id),
        "name": name,
    }


def _label(key: str) -> str:
    """Name a quantity; beside its unit `Current A` would be read as ampere."""
    kind, suffix = split_key(key)
    return f"{kind.label} phase {suffix.upper()}" if suffix in PHASES else label_of(key)


def _shown_at_first(key: str, keys: tuple[str, ...]) -> bool:
    """Leave what few look at to be enabled by them: each entity costs database space."""
    kind, suffix = split_key(key)
    if kind.key in _FOR_SPECIALISTS:
        return False
    return not (suffix and kind.key in _PHASES_FOR_SPECIALISTS and kind.key in keys)


def _status(topics: Topics, meter: str) -> Entity:
    codes = "', '".join(REASONS)
    return {
        **named("sensor", topics.meter_id(meter, "status"), "Status"),
        **by_the_bridge(topics),
        "device_class": "enum",
        "options": ["online", "offline", *(_spoken(code) for code in REASONS)],
        "icon": "mdi:lan-check",
        "entity_category": "diagnostic",
        "state_topic": topics.meter_availability(meter),
        "value_template": (
            f"{{% if value_json.state == 'offline' and value_json.reason in ['{codes}'] %}}"
            "{{ value_json.reason | replace('_', ' ') }}"
            "{% else %}{{ value_json.state }}{% endif %}"
        ),
    }


def _spoken(code: str) -> str:
    return code.replace("_", " ")


def _last_success(topics: Topics, meter: str) -> Entity:
    return {
        **named("sensor", topics.meter_id(meter, "last_success"), "Last success"),
        **by_the_bridge(topics),
        "device_class": "timestamp",
        "entity_category": "diagnostic",
        "state_topic": topics.meter_availability(meter),
        "value_template": "{{ value_json.last_success }}",
    }


def _fetch(topics: Topics, meter: str) -> Entity:
    return {
        **named("button", topics.meter_id(meter, "fetch"), "Fetch now"),
        **by_the_bridge(topics),
        "icon": "mdi:refresh",
        "command_topic": topics.meter_fetch(meter),
        "payload_press": "{}",
    }


def by_the_bridge(topics: Topics) -> Entity:
    """Depend on the bridge alone, whatever the meter does."""
    return {"availability": [{"topic": topics.bridge_state, "value_template": STATE}]}
