"""Profiles: which datapoint of a product holds which quantity, and how it is scaled."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from esquirell.domain.errors import DecodeError
from esquirell.domain.quantity import is_quantity_key


class Datapoint(BaseModel):
    """One datapoint (DP): its Tuya code and, for a measurement, key and divisor.

    A value in the canonical unit is the raw integer divided by `divisor` (dividing, as
    777 / 100 is 7.77 and 777 * 0.01 is not). Without a `key` it is a diagnostic.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: Annotated[str, Field(min_length=1)]
    key: str | None = None
    divisor: Annotated[float, Field(gt=0)] = 1

    @field_validator("key")
    @classmethod
    def _known_quantity(cls, key: str | None) -> str | None:
        if key is not None and not is_quantity_key(key):
            raise ValueError(f"{key} is no quantity of the contract")
        return key


class Profile(BaseModel):
    """A product family: its datapoints and how to ask for them.

    `refresh` lists the DPs to ask for by UPDATEDPS before each status, for products that
    answer old values otherwise; `products` the Tuya product ids that it is known to fit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    manufacturer: str = "Tuya"
    model: str = ""
    products: tuple[str, ...] = ()
    refresh: tuple[int, ...] = ()
    datapoints: Mapping[str, Datapoint]

    @property
    def keys(self) -> tuple[str, ...]:
        """The quantity keys of this product, in the order of its datapoints."""
        return tuple(point.key for point in self.datapoints.values() if point.key)


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one answer of a device means, in canonical units."""

    values: dict[str, float] = field(default_factory=dict)
    diagnostics: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def decode(dps: Mapping[str, Any], profile: Profile) -> Decoded:
    """Turn raw DPs, keyed by DP id, into values and diagnostics; absent stays absent.

    A value that is not what the profile says stays raw among the diagnostics, with a warning.
    """
    values: dict[str, float] = {}
    diagnostics: dict[str, Any] = {}
    warnings: list[str] = []
    for dp, raw in dps.items():
        point = profile.datapoints.get(dp)
        if point is None or point.key is None:
            diagnostics[point.code if point else f"dp_{dp}"] = raw
            continue
        try:
            values[point.key] = _scale(raw, point)
        except DecodeError as error:
            diagnostics[point.code] = raw
            warnings.append(f"DP {dp} ({point.code}): {error}")
    return Decoded(values, diagnostics, tuple(warnings))


def _scale(raw: object, point: Datapoint) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise DecodeError(f"expected a whole number, got {type(raw).__name__}")
    return raw / point.divisor
