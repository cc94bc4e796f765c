"""Discovery messages for Home Assistant: one per meter, per schedule and for the bridge."""

from collections.abc import Mapping
from dataclasses import field
from functools import lru_cache
from itertools import chain
from typing import Any

from esquirell.domain.meter import Meter
from esquirell.domain.payload import read_foreign
from esquirell.domain.profile import Profile
from esquirell.domain.quantity import is_quantity_key
from esquirell.domain.reading import MeterStatus
from esquirell.domain.record import record
from esquirell.mqtt import controls, entities
from esquirell.mqtt.entities import Entity, by_the_bridge, named
from esquirell.mqtt.topics import Topics

ORIGIN = "esquirell"
REMEMBERED = 256
# Tuya's code of the bits that a device sets in an alarm.
FAULT = "fault"
_SENSORS = {"today": "Cost today", "this_month": "Cost this month"}


@record
class MeterInfo:
    """What discovery needs to know about a meter.

    `profile` is None while the product is unknown, `interval` the longest time between two polls in
    seconds, None when nothing polls the meter; `currency` that of its tariff, None without one.
    `mac` and `serial` are empty if unknown.
    """

    meter: Meter
    profile: Profile | None = None
    status: MeterStatus = field(default_factory=MeterStatus)
    interval: float | None = None
    currency: str | None = None
    mac: str = ""
    serial: str = ""

    @property
    def is_known(self) -> bool:
        """Whether the meter's product is known."""
        return self.profile is not None and bool(self.profile.keys)

    @property
    def reports_faults(self) -> bool:
        """Whether the product has a datapoint for its own faults."""
        return self.profile is not None and FAULT in self.profile.by_name

    @property
    def keys(self) -> tuple[str, ...]:
        """All quantity keys: the profile's and any seen so far."""
        of_profile = self.profile.keys if self.profile else ()
        return _quantity_keys(of_profile, self.status.keys)


# Mostly the keys of a meter are those of the round before.
@lru_cache(REMEMBERED)
def _quantity_keys(*keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(key for key in dict.fromkeys(chain(*keys)) if is_quantity_key(key))


@record
class About:
    """The program as devices refer to it: its version, and its page where others reach it."""

    version: str
    page: str = ""


def meter_device(topics: Topics, info: MeterInfo, about: About) -> dict[str, object]:
    """Return the message that announces a meter."""
    name, keys = info.meter.name, info.keys
    produces = info.profile is not None and info.profile.is_inverter
    sensors = {key: entities.quantity(topics, name, key, keys, produces=produces) for key in keys}
    # A component with nothing but a platform removes an earlier one.
    cost = {
        f"cost_{period}": _sensor(topics, name, period, info.currency)
        if info.currency
        else {"platform": "sensor"}
        for period in _SENSORS
    }
    fault = entities.fault(topics, name) if info.reports_faults else {"platform": "binary_sensor"}
    return {
        "device": _meter(topics, info, about),
        "origin": _origin(about),
        "availability": [
            {"topic": topic, "value_template": entities.STATE}
            for topic in (topics.bridge_state, topics.meter_availability(name))
        ],
        "availability_mode": "all",
        "state_topic": topics.meter_state(name),
        "qos": 1,
        "components": sensors | cost | {FAULT: fault} | dict(entities.service(topics, name)),
    }


def bridge_device(
    topics: Topics, about: About, gone: Mapping[str, str] | None = None
) -> dict[str, object]:
    """Return the message that announces the bridge itself.

    `gone` are components of an earlier message to remove, with their platforms.
    """
    left = {key: {"platform": platform} for key, platform in (gone or {}).items()}
    return {
        "device": _bridge(topics, about),
        "origin": _origin(about),
        "qos": 1,
        "components": left | controls.of_bridge(topics),
    }


def schedule_device(
    topics: Topics, about: About, name: str, state: Mapping[str, Any]
) -> dict[str, object]:
    """Return the message that adds the controls of a schedule to the bridge's device."""
    return {
        "device": _bridge(topics, about),
        "origin": _origin(about),
        **entities.by_the_bridge(topics),
        "state_topic": topics.schedule_state(name),
        "qos": 1,
        "components": controls.of_schedule(topics, name, state),
    }


def base_topic_of(payload: bytes) -> str | None:
    """Return the base topic of a discovery message, if it was created by esquirell."""
    try:
        message = read_foreign(payload)
        if message["origin"]["name"] != ORIGIN:
            return None
        places = message.get("availability") or [message["components"]["connectivity"]]
        topic = places[0].get("topic") or places[0]["state_topic"]
        return str(topic).removesuffix("/bridge/state")
    except (LookupError, TypeError, AttributeError):
        return None


def components_of(payload: bytes) -> dict[str, str]:
    """Return the components that a discovery message announces, with their platforms."""
    try:
        components = read_foreign(payload)["components"]
        found = {key: str(component["platform"]) for key, component in components.items()}
        return {key: platform for key, platform in found.items() if len(components[key]) > 1}
    except (LookupError, TypeError, AttributeError):
        return {}


def following(message: Mapping[str, Any], earlier: bytes) -> dict[str, Any]:
    """Return a discovery message that removes only components that the earlier one announces.

    openHAB refuses a whole device for one component that has nothing but a platform.
    """
    known = components_of(earlier)
    components = {
        key: component
        for key, component in message["components"].items()
        if len(component) > 1 or key in known
    }
    return {**message, "components": components}


def _meter(topics: Topics, info: MeterInfo, about: About) -> dict[str, object]:
    """Return the device; Home Assistant rejects null, so empty values are left out."""
    meter, profile = info.meter, info.profile
    described = {
        "identifiers": [topics.meter_id(meter.name)],
        "connections": [["mac", info.mac]] if info.mac else [],
        "name": meter.title,
        "manufacturer": profile.manufacturer if profile else "Tuya",
        "model": profile.model or profile.title if profile else "",
        "model_id": meter.product_id,
        "serial_number": info.serial,
        "suggested_area": meter.area,
        "configuration_url": about.page,
        "via_device": topics.bridge_id,
    }
    return {name: value for name, value in described.items() if value}


def _bridge(topics: Topics, about: About) -> dict[str, object]:
    plain = topics.base == Topics().base
    described = {
        "identifiers": [topics.bridge_id],
        "name": "esquirell" if plain else f"esquirell ({topics.base})",
        "manufacturer": "esquirell",
        "model": "Bridge",
        "sw_version": about.version,
        "configuration_url": about.page,
    }
    return {name: value for name, value in described.items() if value}


def _origin(about: About) -> dict[str, object]:
    return {"name": ORIGIN, "sw_version": about.version}


def _sensor(topics: Topics, meter: str, period: str, currency: str) -> Entity:
    return {
        **named("sensor", topics.meter_id(meter, f"cost_{period}"), _SENSORS[period]),
        **by_the_bridge(topics),
        "device_class": "monetary",
        # Not total_increasing, which this device class does not allow: a credit lowers it.
        "state_class": "total",
        "unit_of_measurement": currency,
        "suggested_display_precision": 2,
        "state_topic": topics.meter_cost(meter),
        "value_template": f"{{{{ value_json.{period}.total }}}}",
        "last_reset_value_template": f"{{{{ value_json.{period}.start }}}}",
    }
