"""What the bridge tells of the whole, gathered from where it is known."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from esquirell.domain.errors import ConfigError
from esquirell.domain.meter import Meter
from esquirell.domain.profile import Profile
from esquirell.domain.requests import schemas
from esquirell.domain.schedule import Schedule
from esquirell.domain.status import MeterStatus
from esquirell.mqtt.discovery import MeterInfo
from esquirell.profiles import Choices
from esquirell.services.schedules import pace_of
from esquirell.settings import Settings, public

VERSION = version("esquirell")


def info_of(settings: Settings, base_topic: str) -> dict[str, Any]:
    """Tell what runs here, with which settings, and which commands it takes."""
    return {
        "version": VERSION,
        "base_topic": base_topic,
        "config": public(settings),
        "commands": schemas(),
    }


def meter_infos(
    meters: Sequence[Meter],
    profiles: Choices,
    statuses: Mapping[str, MeterStatus],
    schedules: Mapping[str, Schedule],
) -> list[MeterInfo]:
    """Tell what is to be shown of each meter."""
    paces = [pace_of(schedules.values(), meter.name) for meter in meters]
    return [
        MeterInfo(one, _profile(profiles, one), statuses.get(one.name, MeterStatus()), pace_s)
        for one, pace_s in zip(meters, paces, strict=True)
    ]


def _profile(profiles: Choices, meter: Meter) -> Profile | None:
    """Give the profile of a meter, if it has one that can be read."""
    try:
        return profiles.of(meter)
    except ConfigError:
        return None
