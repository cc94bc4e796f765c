"""true and false are no whole numbers, in settings and in payloads."""

from collections.abc import Iterator
from typing import get_args

import pytest
from pydantic import BaseModel, ValidationError

from esquirell.services.command_table import commands_for
from esquirell.settings import Settings


def parts(annotation: object) -> Iterator[object]:
    yield annotation
    for part in get_args(annotation):
        yield from parts(part)


def models(found: dict[str, type[BaseModel]], model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Return a model and all that its fields are made of, by their names."""
    if model.__name__ not in found:
        found[model.__name__] = model
        for field in model.model_fields.values():
            for part in parts(field.annotation):
                if isinstance(part, type) and issubclass(part, BaseModel):
                    models(found, part)
    return found


def number_fields() -> Iterator[tuple[type[BaseModel], str]]:
    found = models({}, Settings)
    for command in commands_for("api").values():
        models(found, command.payload)
    for model in found.values():
        for name, field in model.model_fields.items():
            kinds = set(parts(field.annotation))
            # What comes back with the answer may be anything.
            if int in kinds and bool not in kinds and name != "transaction":
                yield model, name


@pytest.mark.parametrize(
    ("model", "name"),
    [pytest.param(*field, id=f"{field[0].__name__}.{field[1]}") for field in number_fields()],
)
@pytest.mark.parametrize("value", [True, False])
def test_true_is_no_number(model: type[BaseModel], name: str, value: bool) -> None:
    with pytest.raises(ValidationError) as raised:
        model.model_validate({name: value})
    (mistake,) = (one for one in raised.value.errors() if one["loc"][:1] == (name,))
    assert "must be a whole number" in mistake["msg"]


def test_all_of_them_are_looked_at() -> None:
    found = {(model.__name__, name) for model, name in number_fields()}
    assert {("WebSettings", "port"), ("Meter", "store_every"), ("NewMeter", "port")} <= found
    assert len(found) > 20
