"""The known keys, derived from the models, so that no second list needs maintenance."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, get_origin

from pydantic import BaseModel

from esquirell.domain.meter import Meter
from esquirell.domain.schedule import Schedule
from esquirell.domain.secrets import kinds_of, secret_fields
from esquirell.domain.tariff import Tariff
from esquirell.settings.model import Configuration
from esquirell.settings.sections import Section

Model = type[BaseModel]

LISTS: dict[str, Model] = {"meters": Meter, "schedules": Schedule, "tariffs": Tariff}
SECTIONS: dict[str, Model] = {
    name: field.annotation
    for name, field in Configuration.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
}


def path_keys(model: Model) -> tuple[str, ...]:
    """Return the keys that hold a path, including those of secret files."""
    plain = tuple(name for name in model.model_fields if Path in kinds_of(model, name))
    return plain + tuple(f"{name}_file" for name in secret_fields(model))


def known_keys(model: Model) -> tuple[str, ...]:
    """Return all keys of a table."""
    return tuple(model.model_fields) + tuple(f"{name}_file" for name in secret_fields(model))


def takes_container(model: Model, key: str) -> bool:
    """Return whether a key may hold a list or a table."""
    if key not in model.model_fields:
        return False
    return any(get_origin(kind) in (tuple, dict) for kind in kinds_of(model, key))


def takes_only_numbers(model: Model, key: str) -> bool:
    """Return whether a key takes a number and no flag: `true` would count as 1."""
    kinds = kinds_of(model, key) if key in model.model_fields else ()
    plain = {kind.__origin__ if get_origin(kind) is Annotated else kind for kind in kinds}
    return bool(plain & {int, float, Decimal}) and bool not in plain
