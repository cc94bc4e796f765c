"""Which fields of a model hold secrets: those of the type SecretStr, and no second list."""

from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr


def secret_fields(model: type[BaseModel]) -> tuple[str, ...]:
    """Return the names of a model's secrets."""
    return tuple(name for name in model.model_fields if SecretStr in kinds_of(model, name))


def kinds_of(model: type[BaseModel], field: str) -> tuple[Any, ...]:
    """Return the types that a field may have: several where it is a union."""
    annotation = model.model_fields[field].annotation
    united = get_origin(annotation) in (UnionType, Union)
    return get_args(annotation) if united else (annotation,)
