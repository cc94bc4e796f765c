"""A model of the arguments that a function takes, made from its signature."""

import inspect
import json
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

_UNNAMED = {
    inspect.Parameter.VAR_POSITIONAL: "*{}",
    inspect.Parameter.VAR_KEYWORD: "**{}",
    inspect.Parameter.POSITIONAL_ONLY: "{} by its position only",
}


class SignatureError(ValueError):
    """Arguments can't be checked against a signature; the text says why."""


class SignatureModel(BaseModel):
    """The arguments of a function by their names, which are aliases.

    A field may not be called `_x`, nor `json`; an argument may.
    """

    model_config = ConfigDict(extra="forbid")


def model_of(function: Callable[..., object]) -> type[BaseModel]:
    """Return a model of the keyword arguments of a function. Raises SignatureError.

    What has no annotation takes any JSON value. Of a bound method `self` is no argument.
    """
    try:
        parameters = inspect.signature(function, eval_str=True).parameters.values()
    except Exception as error:  # noqa: BLE001 - an annotation is evaluated, and may be anything
        raise SignatureError(f"its annotations can't be read ({error})") from None
    fields = {f"argument_{number}": _field(one) for number, one in enumerate(parameters)}
    try:
        model = create_model("Arguments", __base__=SignatureModel, **fields)
        model.model_json_schema()
    except Exception as error:  # noqa: BLE001 - pydantic's, and those of types with own schemas
        reason = str(error).partition("\n")[0]
        raise SignatureError(f"JSON can't be checked against its annotations ({reason})") from None
    return model


def _field(parameter: inspect.Parameter) -> Any:  # noqa: ANN401 - what create_model takes
    if parameter.kind in _UNNAMED:
        raise SignatureError(f"it takes {_UNNAMED[parameter.kind].format(parameter.name)}")
    kind = Any if parameter.annotation is parameter.empty else parameter.annotation
    return kind, Field(alias=parameter.name, **_default(parameter.default))


def _default(value: object) -> dict[str, Any]:
    """Return how a default is to be declared: what is no JSON can't stand in a schema."""
    if value is inspect.Parameter.empty:
        return {}
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return {"default_factory": lambda: value}
    return {"default": value}
