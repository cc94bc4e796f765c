"""The sensors in Home Assistant for the cost of a meter's energy."""

from esquirell.mqtt.entities import Entity, by_the_bridge, named
from esquirell.mqtt.topics import Topics

_SENSORS = {"today": "Cost today", "this_month": "Cost this month"}


def no_sensors() -> dict[str, Entity]:
    """Return what removes the sensors: components with nothing but a platform."""
    return {f"cost_{period}": {"platform": "sensor"} for period in _SENSORS}


def sensors(topics: Topics, meter: str, currency: str) -> dict[str, Entity]:
    """Return the sensors for a meter's cost."""
    return {f"cost_{period}": _sensor(topics, meter, period, currency) for period in _SENSORS}


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
