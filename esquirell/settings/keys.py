"""Which keys there are, read off the models, so that no second list has to be kept."""

from pathlib import Path
from typing import get_origin

from pydantic import BaseModel

from esquirell.domain.meter import Meter
from esquirell.domain.schedule import Schedule
from esquirell.domain.secrets import kinds_of, secret_fields
from esquirell.domain.tariff import Tariff
from esquirell.settings.model import Configuration, Section

Model = type[BaseModel]

LISTS: dict[str, Model] = {"meters": Meter, "schedules": Schedule, "tariffs": Tariff}
SECTIONS: dict[str, Model] = {
    name: field.annotation
    for name, field in Configuration.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
}


def path_keys(model: Model) -> tuple[str, ...]:
    """Name the keys that hold a path, those of secret files included."""
    plain = tuple(name for name in model.model_fields if Path in kinds_of(model, name))
    return plain + tuple(f"{name}_file" for name in secret_fields(model))


def known_keys(model: Model) -> tuple[str, ...]:
    """Name all keys of a table."""
    return tuple(model.model_fields) + tuple(f"{name}_file" for name in secret_fields(model))


def takes_container(model: Model, key: str) -> bool:
    """Return whether a key may hold a list or a table."""
    if key not in model.model_fields:
        return False
    return any(get_origin(kind) in (tuple, dict) for kind in kinds_of(model, key))
