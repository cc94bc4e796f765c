"""Discovery of the entities of a meter."""

from collections.abc import Collection, Iterator

from esquirell.domain.quantity import PHASES, Quantity, label_of, split_key
from esquirell.mqtt.topics import Topics, entity_id

Entity = dict[str, object]

STATE = "{{ value_json.state }}"
REASONS = ("unreachable", "no_data", "busy", "cloud_error", "wrong_key", "wrong_protocol")
EVENTS = ("offline", "online", "doubt")

# Without a suffix these have no name: Home Assistant names them in the user's language.
_NAMED_BY_CLASS = (
    *("voltage", "current", "active_power", "reactive_power", "apparent_power"),
    *("power_factor", "frequency", "temperature", "state_of_charge"),
)
_ICONS = {
    "energy_import": "mdi:transmission-tower-import",
    "energy_export": "mdi:transmission-tower-export",
    "energy_generated": "mdi:solar-power",
    "energy_charged": "mdi:battery-arrow-up",
    "energy_discharged": "mdi:battery-arrow-down",
}
_FOR_SPECIALISTS = ("reactive_power", "apparent_power", "power_factor")
_PHASES_FOR_SPECIALISTS = ("energy_import", "energy_export")


def quantity(
    topics: Topics, meter: str, key: str, keys: Collection[str], *, produces: bool = False
) -> Entity:
    """Return the sensor of one quantity.

    `keys` are all of the meter; `produces` means that what it delivers is its production.
    """
    kind, suffix = split_key(key)
    produced = produces and kind.key == "energy_export"
    optional: Entity = {
        "name": _name(kind, suffix, key, produced=produced),
        "unit_of_measurement": kind.unit,
        "icon": "mdi:solar-power" if produced else _ICONS.get(kind.key),
        "entity_category": "diagnostic" if kind.key == "temperature" else None,
    }
    return {
        **identified("sensor", topics.meter_id(meter, key)),
        "device_class": kind.device_class,
        "state_class": kind.state_class,
        "suggested_display_precision": kind.precision,
        "value_template": f"{{{{ value_json.{key} }}}}",
        **{name: value for name, value in optional.items() if value},
        **({} if _shown_at_first(key, keys) else {"enabled_by_default": False}),
    }


def service(topics: Topics, meter: str) -> Iterator[tuple[str, Entity]]:
    """Return the entities beside the quantities, by key.

    All but `problem` work while the meter does not answer.
    """
    yield "problem", _problem(topics, meter)
    yield "status", _status(topics, meter)
    yield "last_success", _last_success(topics, meter)
    yield "event", _event(topics, meter)
    yield "fetch", _fetch(topics, meter)


def identified(platform: str, unique_id: str) -> Entity:
    """Start an entity that its device class names."""
    return {
        "platform": platform,
        "unique_id": unique_id,
        "default_entity_id": entity_id(platform, unique_id),
    }


def named(platform: str, unique_id: str, name: str) -> Entity:
    """Start an entity."""
    return {**identified(platform, unique_id), "name": name}


def by_the_bridge(topics: Topics) -> Entity:
    """Make an entity depend on the bridge only, whatever the meter does."""
    return {"availability": [{"topic": topics.bridge_state, "value_template": STATE}]}


def event(
    topics: Topics, unique_id: str, condition: str, type_: str, types: Collection[str]
) -> Entity:
    """Return an entity for the events that meet a condition; `type_` renders its type.

    Other messages render as nothing, which Home Assistant ignores.
    """
    content = f"dict(value_json.data, event_type={type_})"
    return {
        **named("event", unique_id, "Event"),
        **by_the_bridge(topics),
        "icon": "mdi:bell-outline",
        "event_types": list(types),
        "state_topic": topics.bridge_event,
        "value_template": f"{{% if {condition} %}}{{{{ {content} | tojson }}}}{{% endif %}}",
    }


def _name(kind: Quantity, suffix: str, key: str, *, produced: bool) -> str | None:
    """Return the name of a quantity; beside its unit, `Current A` would be read as ampere."""
    if not suffix and kind.key in _NAMED_BY_CLASS:
        return None
    label = f"{kind.label} phase {suffix.upper()}" if suffix in PHASES else label_of(key)
    return label.replace(kind.label, "Energy produced") if produced else label


def _shown_at_first(key: str, keys: Collection[str]) -> bool:
    """Disable an entity that few people use by default: each one costs database space."""
    kind, suffix = split_key(key)
    if kind.key in _FOR_SPECIALISTS or _repeats(kind.key, suffix, keys):
        return False
    return not (suffix and kind.key in _PHASES_FOR_SPECIALISTS and kind.key in keys)


def _repeats(name: str, suffix: str, keys: Collection[str]) -> bool:
    """Whether a power always equals that of another key: one phase, or one input, is the total."""
    if name != "active_power":
        return False
    others = {split_key(key)[1] for key in keys if split_key(key)[0].key == name} - {suffix}
    if suffix in ("a", "ac"):
        return "" in others and not others & {"b", "c"}
    return suffix == "pv" and "pv1" in others and "pv2" not in others


def _problem(topics: Topics, meter: str) -> Entity:
    """Return the sensor that says whether values are doubtful; the event says why."""
    warnings = "value_json.diagnostics.get('warnings', [])"
    return {
        **named("binary_sensor", topics.meter_id(meter, "problem"), "Readings"),
        "device_class": "problem",
        "entity_category": "diagnostic",
        "value_template": f"{{{{ 'ON' if {warnings} else 'OFF' }}}}",
    }


def fault(topics: Topics, meter: str) -> Entity:
    """Return the sensor that is on while the device itself reports a fault, such as an overload.

    What is no number is unknown: there are texts and lists for faults, and for none.
    """
    reported = "value_json.diagnostics.get('fault') | int(none)"
    state = f"'None' if ({reported}) is none else 'ON' if {reported} else 'OFF'"
    return {
        **named("binary_sensor", topics.meter_id(meter, "fault"), "Fault"),
        "device_class": "problem",
        "entity_category": "diagnostic",
        "value_template": f"{{{{ {state} }}}}",
    }


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
        # Enabled by default, it would add an entry to Home Assistant's Activity at every poll.
        "enabled_by_default": False,
        "state_topic": topics.meter_availability(meter),
        "value_template": "{{ value_json.last_success }}",
    }


def _event(topics: Topics, meter: str) -> Entity:
    types = "', '".join(f"meter_{event_type}" for event_type in EVENTS)
    condition = f"value_json.type in ['{types}'] and value_json.data.meter == '{meter}'"
    return event(topics, topics.meter_id(meter, "event"), condition, "value_json.type[6:]", EVENTS)


def _fetch(topics: Topics, meter: str) -> Entity:
    return {
        **named("button", topics.meter_id(meter, "fetch"), "Fetch now"),
        **by_the_bridge(topics),
        "icon": "mdi:refresh",
        "command_topic": topics.meter_fetch(meter),
        "payload_press": "{}",
    }
