"""Profiles: which datapoint of a product holds which quantity, and how it is scaled."""

from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from esquirell.domain.frames import quantities_of
from esquirell.domain.frames.codecs import CODECS
from esquirell.domain.quantity import is_counter, is_quantity_key, possible, split_key

INVERTERS = ("znnbq", "wxnbq", "xnyjcn", "bxsdy")
_SOURCES = ("pv", "bat")
# Lamps, locks, thermostats and compressors report these as well.
_BESIDE = frozenset(["temperature", "state_of_charge", "voltage", "frequency"])

Trust = Literal["sure", "likely", "doubtful", "unproven"]


class Datapoint(BaseModel):
    """One datapoint (DP): its Tuya code and, for a measurement, key or frame.

    Divided by `divisor`, a number is in the canonical unit (divided, as 777 / 100 is 7.77 and 777 *
    0.01 is not). A packed frame names its codec in `frame`, or "auto", and the phase or channel in
    `suffix`. With neither key nor frame it is a diagnostic. One that `adds` to a counter holds the
    energy since the last report, in kWh when divided by `divisor`.

    A `doubtful` value is published with a warning; an `unproven` one stays raw, with its `note`,
    until an answer has proved it. `direction` is the DP whose REVERSE makes this value negative,
    `sentinels` are raw values that are no measurement, `note` is a warning for each value.
    """

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    code: Annotated[str, Field(min_length=1)]
    key: str | None = None
    divisor: Annotated[float, Field(gt=0)] = 1
    frame: str | None = None
    suffix: Annotated[str, Field(pattern=r"^[a-z0-9_]*$")] = ""
    adds: str | None = None
    direction: str | None = None
    sentinels: tuple[int, ...] = ()
    trust: Trust = "sure"
    note: str = ""

    @field_validator("key")
    @classmethod
    def _known_quantity(cls, key: str | None) -> str | None:
        if key is not None and not is_quantity_key(key):
            raise ValueError(f"{key} is not a quantity of the contract")
        return key

    @field_validator("adds")
    @classmethod
    def _known_counter(cls, key: str | None) -> str | None:
        if key is not None and not (is_quantity_key(key) and is_counter(key)):
            raise ValueError(f"{key} is no energy of the contract")
        return key

    @field_validator("frame")
    @classmethod
    def _known_frame(cls, frame: str | None) -> str | None:
        if frame is not None and frame != "auto" and frame not in CODECS:
            raise ValueError(f"there is no frame {frame}; known are: auto, {', '.join(CODECS)}")
        return frame

    @model_validator(mode="after")
    def _one_meaning(self) -> "Datapoint":
        if bool(self.key) + bool(self.frame) + bool(self.adds) > 1:
            raise ValueError("a datapoint has a key or a frame or adds to a counter, not several")
        return self

    @property
    def is_plain(self) -> bool:
        """Whether its value is its raw number divided, without conditions or warnings."""
        beside = self.frame or self.sentinels or self.note or self.direction
        return not beside and self.divisor >= 1 and self.trust in ("sure", "likely")

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The quantity keys that this datapoint is known to have."""
        if self.frame:
            return quantities_of(self.frame, self.suffix)
        return (self.key,) if self.key else ()


class Plain(NamedTuple):
    """A plain numeric datapoint, and the range of its raw values."""

    key: str
    divisor: float
    least: float
    greatest: float

    @classmethod
    def of(cls, point: Datapoint) -> "Plain":
        """Precompute what decoding an answer needs of a datapoint."""
        least, greatest = possible(str(point.key))
        divisor = point.divisor
        return cls(str(point.key), divisor, least * divisor, greatest * divisor)


class Profile(BaseModel):
    """A product family: its datapoints by DP id, and how to query them.

    `products` are the Tuya product ids it is known to fit. If several profiles list one, or the
    product is unknown, the DPs decide: an answer must contain those in `requires`. `refresh` lists
    the DPs to request by UPDATEDPS before each query, for products that otherwise return old
    values; `category` is Tuya's, such as `cz`. If only the cloud's codes are known, they replace
    the DP ids.
    """

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")

    name: str
    title: str
    manufacturer: str = "Tuya"
    model: str = ""
    category: str = ""
    products: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    refresh: tuple[int, ...] = ()
    datapoints: Mapping[str, Datapoint]

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The quantity keys of this product, in the order of its datapoints."""
        return tuple(dict.fromkeys(self._keys()))

    @cached_property
    def by_name(self) -> Mapping[str, Datapoint]:
        """The datapoints by DP id and by code; ids take precedence."""
        codes = {point.code: point for point in reversed(list(self.datapoints.values()))}
        return codes | dict(self.datapoints)

    @cached_property
    def plain(self) -> Mapping[str, Plain]:
        """The plain numeric datapoints by DP id and by code: nearly all are."""
        points = self.by_name.items()
        return {name: Plain.of(point) for name, point in points if point.key and point.is_plain}

    @cached_property
    def framed(self) -> frozenset[str]:
        """The DP ids and codes of packed frames."""
        return frozenset(name for name, point in self.by_name.items() if point.frame)

    def is_met_by(self, answer: Collection[str]) -> bool:
        """Whether an answer, by DP id or by code, contains all that this family requires."""
        points = self.datapoints
        return all(
            dp in answer or points[dp].code in answer for dp in self.requires if dp in points
        )

    @cached_property
    def increments(self) -> Mapping[str, Datapoint]:
        """The datapoints that add to a counter with each report, by DP id."""
        return {dp: point for dp, point in self.datapoints.items() if point.adds}

    @cached_property
    def measures_electricity(self) -> bool:
        """Whether it measures more than a temperature, a battery or the speed of a motor."""
        return not {split_key(key)[0].key for key in self.keys} <= _BESIDE

    @cached_property
    def is_inverter(self) -> bool:
        """Whether it generates electricity, by its category or by its panels and batteries."""
        codes = [point.code.lower() for point in self.datapoints.values() if point.frame]
        return self.category in INVERTERS or any(code.startswith(_SOURCES) for code in codes)

    def with_datapoints(self, points: Mapping[str, Datapoint]) -> "Profile":
        """Return this profile with other datapoints."""
        # Not a copy, which would keep what was derived from the old ones.
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return Profile.model_validate(fields | {"datapoints": points})

    def unproved(self, *quantities: str) -> "Profile":
        """Return this profile with its quantities left raw until an answer proves their scale."""
        doubted = {
            dp: point.model_copy(update={"trust": "unproven"})
            for dp, point in self.datapoints.items()
            if point.key and point.key.startswith(quantities)
        }
        return self.with_datapoints({**self.datapoints, **doubted}) if doubted else self

    def without_measurements(self) -> "Profile":
        """Return a profile with the codes of this one that measures nothing."""
        codes = {dp: Datapoint(code=point.code) for dp, point in self.datapoints.items()}
        return self.with_datapoints(codes)

    def _keys(self) -> Iterator[str]:
        for point in self.datapoints.values():
            yield from point.keys
