"""What Home Assistant is told of meters and of the bridge: one message per device."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from esquirell.domain.meter import Meter
from esquirell.domain.profile import Profile
from esquirell.domain.quantity import is_quantity_key
from esquirell.domain.status import MeterStatus
from esquirell.mqtt import costs, entities
from esquirell.mqtt.topics import Topics


@dataclass(frozen=True, slots=True)
class MeterInfo:
    """What is to be known of a meter.

    `profile` is None while the product is not known, `interval` the longest time between two
    polls in seconds, None when nothing polls the meter; `currency` that of its tariff, None
    without one.
    """

    meter: Meter
    profile: Profile | None = None
    status: MeterStatus = field(default_factory=MeterStatus)
    interval: float | None = None
    currency: str | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """All quantity keys: the profile's and any seen so far."""
        of_profile = self.profile.keys if self.profile else ()
        every = dict.fromkeys([*of_profile, *self.status.keys])
        return tuple(key for key in every if is_quantity_key(key))


def meter_device(
    topics: Topics, info: MeterInfo, version: str, *, unpriced: bool = False
) -> dict[str, object]:
    """Build the message that announces a meter; `unpriced` tells that it lost its tariff."""
    name, keys = info.meter.name, info.keys
    sensors = {key: entities.quantity(topics, name, key, keys) for key in keys}
    sensors["problem"] = entities.problem(topics, name)
    if info.currency:
        sensors |= costs.sensors(topics, name, info.currency)
    elif unpriced:
        sensors |= costs.no_sensors()
    return {
        "device": _meter(topics, info),
        "origin": _origin(version),
        "availability": [
            {"topic": topic, "value_template": entities.STATE}
            for topic in (topics.bridge_state, topics.meter_availability(name))
        ],
        "availability_mode": "all",
        "state_topic": topics.meter_state(name),
        "qos": 1,
        "components": sensors | dict(entities.service(topics, name)),
    }


def bridge_device(
    topics: Topics,
    version: str,
    schedules: Mapping[str, Mapping[str, Any]],
    gone: Iterable[str] = (),
) -> dict[str, object]:
    """Build the message that announces the bridge itself, with the controls of its schedules.

    `schedules` are the published states by name, `gone` those whose controls are taken away.
    """
    controls: dict[str, entities.Entity] = {}
    for name in sorted(gone):
        controls |= entities.no_schedule(name)
    for name, state in schedules.items():
        controls |= entities.schedule(topics, name, state)
    plain = topics.base == Topics().base
    return {
        "device": {
            "identifiers": [topics.bridge_id],
            "name": "esquirell" if plain else f"esquirell ({topics.base})",
            "manufacturer": "esquirell",
            "model": "Bridge",
            "sw_version": version,
        },
        "origin": _origin(version),
        "qos": 1,
        "components": {"connectivity": entities.connectivity(topics)} | controls,
    }


def _meter(topics: Topics, info: MeterInfo) -> dict[str, object]:
    """Describe the device; Home Assistant takes a null for a fault, so nothing is empty."""
    meter, profile = info.meter, info.profile
    described = {
        "identifiers": [topics.meter_id(meter.name)],
        "name": meter.title,
        "manufacturer": profile.manufacturer if profile else "Tuya",
        "model": profile.model or profile.title if profile else "",
        "model_id": meter.product_id,
        "suggested_area": meter.area,
        "via_device": topics.bridge_id,
    }
    return {name: value for name, value in described.items() if value}


def _origin(version: str) -> dict[str, object]:
    return {"name": "esquirell", "sw_version": version}
