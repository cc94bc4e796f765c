"""All topic names and Home Assistant ids, in one place."""

import re
from typing import Any

from esquirell.domain.record import record

# Home Assistant's birth message stays there, whatever its discovery prefix.
BIRTH = "homeassistant/status"
_NOT_FOR_IDS = re.compile(r"[^a-zA-Z0-9_-]")
_NOT_FOR_ENTITIES = re.compile(r"[^a-z0-9_]")

# The longest topic that MQTT can encode, in bytes: MQTT 5.0, 1.5.4.
LONGEST_TOPIC = 65_535


@record
class Topics:
    """The topics under one base topic; an empty discovery prefix switches discovery off."""

    base: str = "esquirell"
    discovery_prefix: str = "homeassistant"

    @property
    def bridge_state(self) -> str:
        """Where the bridge reports that it is online, and the broker that it is not."""
        return f"{self.base}/bridge/state"

    @property
    def bridge_info(self) -> str:
        """Where version, configuration and commands are described."""
        return f"{self.base}/bridge/info"

    @property
    def bridge_health(self) -> str:
        """Where the health of all parts is published."""
        return f"{self.base}/bridge/health"

    @property
    def bridge_event(self) -> str:
        """Where events are published."""
        return f"{self.base}/bridge/event"

    @property
    def bridge_claim(self) -> str:
        """Where a bridge asks whether another one serves the base topic."""
        return f"{self.base}/bridge/claim"

    @property
    def bridge_doctor(self) -> str:
        """Where a client of ours sends messages to itself, to see whether they arrive."""
        return f"{self.base}/bridge/doctor"

    @property
    def birth(self) -> str:
        """Where what reads the announcements says that it has started, as at `BIRTH`."""
        return f"{self.discovery_prefix}/status"

    @property
    def all_availabilities(self) -> str:
        """The filter for the availability of all meters."""
        return self.meter_availability("+")

    def meter_state(self, meter: str) -> str:
        """Where the readings of a meter are published."""
        return f"{self.base}/meter/{meter}/state"

    def meter_availability(self, meter: str) -> str:
        """Where the availability of a meter is published."""
        return f"{self.base}/meter/{meter}/availability"

    def meter_history(self, meter: str) -> str:
        """Where readings of a meter that the broker missed are published."""
        return f"{self.base}/meter/{meter}/history"

    def meter_cost(self, meter: str) -> str:
        """Where the energy cost of a meter is published."""
        return f"{self.base}/meter/{meter}/cost"

    @property
    def all_costs(self) -> str:
        """The filter for the costs of all meters."""
        return self.meter_cost("+")

    def meter_fetch(self, meter: str) -> str:
        """Where a reading of a meter is requested."""
        return f"{self.base}/meter/{meter}/fetch"

    def meter_of(self, topic: str) -> str:
        """Return the name of the meter that a topic of a meter is about."""
        return topic.removeprefix(f"{self.base}/meter/").partition("/")[0]

    def subject_of(self, topic: str) -> str | None:
        """Return the meter or schedule that a topic of a command names, if it does."""
        kind, _, rest = topic.removeprefix(f"{self.base}/").partition("/")
        return rest.partition("/")[0] if kind in ("meter", "schedule") else None

    def schedule_state(self, schedule: str) -> str:
        """Where the state of a schedule is published."""
        return f"{self.base}/schedule/{schedule}/state"

    def schedule_set(self, schedule: str) -> str:
        """Where fields of a schedule are changed."""
        return f"{self.base}/schedule/{schedule}/set"

    def schedule_run(self, schedule: str) -> str:
        """Where a run of a schedule is requested."""
        return f"{self.base}/schedule/{schedule}/run"

    @property
    def all_schedules(self) -> str:
        """The filter for the states of all schedules."""
        return self.schedule_state("+")

    def schedule_of(self, topic: str) -> str:
        """Return the name of the schedule that a topic of a schedule is about."""
        return topic.removeprefix(f"{self.base}/schedule/").partition("/")[0]

    def request(self, command: str) -> str:
        """Where a command is sent."""
        return f"{self.base}/bridge/request/{command}"

    def response(self, command: str) -> str:
        """Where the answers to a command go, unless it names another topic.

        An unknown command may be so long that only its start is kept.
        """
        topic = f"{self.base}/bridge/response/{command}".rstrip("/")
        return topic if len(topic.encode()) <= LONGEST_TOPIC else f"{self.base}/bridge/response"

    @property
    def command_filters(self) -> tuple[str, ...]:
        """The filters for all topics that accept commands."""
        names = (self.meter_fetch("+"), self.schedule_set("+"), self.schedule_run("+"))
        return (self.request("#"), *names)

    def command_of(self, topic: str) -> tuple[str, dict[str, Any]]:
        """Return the command of a topic, and what the topic adds to its payload."""
        path = topic.removeprefix(f"{self.base}/")
        kind, _, rest = path.partition("/")
        name, _, verb = rest.partition("/")
        if kind == "meter":
            return "fetch", {"meters": [name]}
        if kind == "schedule":
            return f"schedule/{verb}", {"name": name}
        return path.removeprefix("bridge/request").lstrip("/"), {}

    @property
    def everything(self) -> tuple[str, ...]:
        """The filters for all that is retained for a bridge, and other devices' announcements."""
        of_bridge = (self.bridge_state, self.bridge_info, self.bridge_health)
        of_meters = (self.meter_state("+"), self.all_availabilities, self.all_costs)
        announced = self.all_discoveries if self.discovery_prefix else ()
        return (*of_bridge, *of_meters, self.all_schedules, *announced)

    def is_ours(self, topic: str) -> bool:
        """Whether a topic is below the base topic."""
        return topic.startswith(f"{self.base}/")

    def kind_of(self, topic: str) -> str:
        """Return what is retained on a topic: `availability`, `schedule`, …; else nothing."""
        if self.is_ours(topic):
            match topic.removeprefix(f"{self.base}/").split("/"):
                case ["bridge", "state" | "info" | "health"]:
                    return "bridge"
                case ["meter", _, ("state" | "availability" | "cost") as kind]:
                    return kind
                case ["schedule", _, "state"]:
                    return "schedule"
        announced = f"{self.discovery_prefix}/device/"
        if self.discovery_prefix and topic.startswith(announced) and topic.endswith("/config"):
            match topic.removeprefix(announced).removesuffix("/config").split("/"):
                case [_]:
                    return "discovery"
                case [self.bridge_id, _]:
                    return "schedule discovery"
        return ""

    def may_answer(self, topic: str) -> bool:
        """Return whether an answer may be sent to a topic that a client chose."""
        ours = [prefix for prefix in (self.base, self.discovery_prefix) if prefix]
        inside = any(topic == prefix or topic.startswith(f"{prefix}/") for prefix in ours)
        return bool(topic) and not inside and topic[0] != "$" and not set(topic) & {"+", "#", "\0"}

    def discovery(self, device: str) -> str:
        """Where a device, by its id, is announced to Home Assistant."""
        return f"{self.discovery_prefix}/device/{device}/config"

    def schedule_discovery(self, schedule: str) -> str:
        """Where the controls of a schedule are announced, as a part of the bridge's device."""
        return self.discovery(f"{self.bridge_id}/{schedule}")

    @property
    def all_discoveries(self) -> tuple[str, str]:
        """The filters for all devices that anybody announces, and for all our schedules."""
        return self.discovery("+"), self.schedule_discovery("+")

    @property
    def bridge_id(self) -> str:
        """The id of the bridge's own device; it has no suffix, as that could be a meter's name."""
        return _NOT_FOR_IDS.sub("_", self.base)

    def meter_id(self, meter: str, key: str = "") -> str:
        """Return the id of a meter's device, or of one of its entities."""
        return "_".join(part for part in (self.bridge_id, meter, key) if part)


def entity_id(platform: str, unique_id: str) -> str:
    """Return the entity id to propose for an entity: `sensor.esquirell_main_voltage_a`."""
    return f"{platform}.{_NOT_FOR_ENTITIES.sub('_', unique_id.lower())}"
