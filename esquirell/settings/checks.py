"""Checks across the tables of a configuration."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from esquirell.domain.errors import ConfigError
from esquirell.settings.model import Settings
from esquirell.settings.origins import Origins, Route
from esquirell.settings.urls import sqlite_file
from esquirell.settings.zones import check_zone


def check(settings: Settings, origins: Origins) -> None:
    """Reject settings that contradict each other. Raises ConfigError with the first problem."""
    for table, key, problem in _problems(settings):
        raise ConfigError(origins.about(table, key, problem))


Problem = tuple[Route, str, str]


def _problems(settings: Settings) -> Iterator[Problem]:
    yield from _double("meters", (meter.name for meter in settings.meters))
    yield from _devices(settings)
    yield from _upstream(settings)
    yield from _double("schedules", (schedule.name for schedule in settings.schedules))
    yield from _schedules(settings)
    yield from _double("tariffs", (tariff.name for tariff in settings.tariffs))
    for tariff in settings.tariffs:
        yield from _strangers(settings, ("tariffs", tariff.name), tariff.meters)
    yield from _files(settings)
    yield from _folders(settings)
    yield from _topics(settings)


def _double(kind: str, names: Iterable[str]) -> Iterator[Problem]:
    for name, count in Counter(names).items():
        if count > 1:
            yield (kind, name), "", f"this name is used {count} times: it must be unique"


def _devices(settings: Settings) -> Iterator[Problem]:
    """Reject one device under two names, and a cloud meter without an account."""
    names: dict[tuple[str, str], str] = {}
    for meter in settings.meters:
        table = ("meters", meter.name)
        other = names.setdefault((meter.device_id, meter.cid), meter.name)
        if other != meter.name:
            yield table, "device_id", f"is that of {other}: a device can be only one meter"
        if meter.transport == "cloud" and not settings.cloud.api_key:
            yield table, "transport", "needs api_key and api_secret under [cloud]"


def _upstream(settings: Settings) -> Iterator[Problem]:
    """Reject an unknown upstream meter, and a loop of upstream meters."""
    upstream = {meter.name: meter.upstream for meter in settings.meters}
    for name, first in upstream.items():
        seen, above = {name}, first
        while above:
            if above in settings.left_out:
                break
            if above not in upstream:
                yield (
                    ("meters", name),
                    "upstream",
                    f"names {above}, which is not a configured meter",
                )
                break
            if above in seen:
                yield ("meters", name), "upstream", f"forms a loop through {above}"
                break
            seen.add(above)
            above = upstream[above]


def _schedules(settings: Settings) -> Iterator[Problem]:
    for schedule in settings.schedules:
        table = ("schedules", schedule.name)
        yield from _strangers(settings, table, schedule.meters)
        if schedule.timezone is not None:
            yield from _zone(schedule.timezone, table)


def _strangers(settings: Settings, table: Route, names: Iterable[str] | None) -> Iterator[Problem]:
    known = {meter.name for meter in settings.meters} | settings.left_out.keys()
    for name in names or ():
        if name not in known:
            yield table, "meters", f"names {name}, which is not a configured meter"


def _zone(name: str, table: Route) -> Iterator[Problem]:
    try:
        check_zone(name)
    except ValueError as error:
        yield table, "timezone", str(error)


def _files(settings: Settings) -> Iterator[Problem]:
    named: list[tuple[Route, str, Path | None]] = [
        (("redis",), "ca_file", settings.redis.ca_file),
        (("mqtt",), "ca_file", settings.mqtt.ca_file),
        (("mqtt",), "cert_file", settings.mqtt.cert_file),
        (("mqtt",), "key_file", settings.mqtt.key_file),
    ]
    named += [
        (("meters", meter.name), "mapping_file", meter.mapping_file) for meter in settings.meters
    ]
    for table, key, path in named:
        if path is not None and not (path.is_file() and os.access(path, os.R_OK)):
            yield table, key, f"names {path}, which is not a file that can be read"


def _folders(settings: Settings) -> Iterator[Problem]:
    """Reject a file where a folder belongs, and the reverse; paths that can't be seen pass."""
    database = sqlite_file(settings.database_url)
    with suppress(OSError):
        if settings.state_dir.is_file():
            yield (), "state_dir", f"names {settings.state_dir}, which is a file: name a folder"
        if database and Path(database).is_dir():
            yield ("database",), "url", f"names {database}, which is a folder: name a file in it"


def _topics(settings: Settings) -> Iterator[Problem]:
    if settings.mqtt.base_topic == settings.mqtt.discovery_prefix:
        yield ("mqtt",), "base_topic", "must differ from discovery_prefix"
