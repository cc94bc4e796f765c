"""The effective settings in a form that others may see."""

from collections.abc import Iterable, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from esquirell.settings.model import Configuration, Settings
from esquirell.settings.values import write_span

MASK = "***"

_FOUND_OUT = Settings.model_fields.keys() - Configuration.model_fields.keys()


def masked(settings: Settings) -> dict[str, Any]:
    """Return the whole configuration as in a file, with `***` for each secret that is set.

    Absent settings (no value, no default) are omitted.
    """
    return _table(settings.model_dump(exclude=_FOUND_OUT))


def public(settings: Settings) -> dict[str, Any]:
    """Return the settings that everyone on the broker may see.

    Public keys are listed here one by one: no secrets, and nothing new by accident. Meters and
    schedules have topics of their own.
    """
    shown = masked(settings)
    return {
        "timezone": shown["timezone"],
        "log": _pick(shown["log"], ("level",)),
        "database": _pick(shown["database"], ("raw_retention", "durability")),
        "mqtt": _pick(shown["mqtt"], ("protocol", "base_topic", "discovery_prefix")),
    }


def _pick(table: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    return {key: table[key] for key in keys if key in table}


def _table(table: Mapping[str, object]) -> dict[str, Any]:
    return {key: _plain(value) for key, value in table.items() if value is not None}


def _plain(value: object) -> object:
    match value:
        case SecretStr():
            return MASK if value.get_secret_value() else ""
        case timedelta():
            return write_span(value)
        case Path() | date() | time():
            return str(value)
        case dict():
            return _table(value)
        case list() | tuple():
            return [_plain(item) for item in value if item is not None]
    return float(value) if isinstance(value, Decimal) else value
