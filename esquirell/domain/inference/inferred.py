"""A datapoint during inference: its meaning, its divisor, and its present value."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from esquirell.domain.inference.meaning import Meaning
from esquirell.domain.inference.specification import Specified
from esquirell.domain.profile import Datapoint, Trust


@dataclass(slots=True)
class InferredDatapoint:
    """A datapoint whose meaning is being inferred.

    `raw` is the device's answer if it is a number; `reasons` are sentences about what supported or
    refuted its meaning.
    """

    spec: Specified
    meaning: Meaning | None = None
    frame: str | None = None
    suffix: str = ""
    divisor: float = 1
    adds: str | None = None
    direction: str | None = None
    trust: Trust = "sure"
    note: str = ""
    raw: int | None = None
    is_number: bool = False
    reasons: list[str] = field(default_factory=list)

    @property
    def key(self) -> str | None:
        """The quantity key, if it is a measurement."""
        return self.meaning.key if self.meaning else None

    @property
    def quantity(self) -> str:
        """Its quantity; "" if it is no measurement."""
        return self.meaning.quantity if self.meaning else ""

    @property
    def value(self) -> float | None:
        """The value of the answer with the present divisor."""
        return None if self.raw is None else self.raw / self.divisor

    def correct(self, factor: float, why: str) -> None:
        """Multiply the divisor, on conclusive evidence."""
        self.divisor *= factor
        self.trust, self.note = "sure", why

    def doubt(self, why: str) -> None:
        """Keep the divisor, with a doubt."""
        self.trust, self.note = "doubtful", why

    def leave_out(self, why: str) -> None:
        """Keep the meaning, but leave the value raw until an answer proves its scale."""
        self.trust, self.note = "unproven", why

    def drop(self, why: str) -> None:
        """Remove its meaning: it is no measurement, or another datapoint's."""
        self.meaning = None
        self.reasons.append(why)

    def datapoint(self) -> Datapoint:
        """Return the finished datapoint."""
        measures = self.key is not None
        return Datapoint(
            code=self.spec.code,
            key=self.key,
            divisor=self.divisor,
            frame=self.frame,
            suffix=self.suffix,
            direction=self.direction,
            adds=None if measures else self.adds,
            trust=self.trust if measures or self.trust == "likely" else "sure",
            note=self.note if measures else "",
            sentinels=sentinels(self.spec) if self.key else (),
        )


def by_key(points: Iterable[InferredDatapoint]) -> dict[str, InferredDatapoint]:
    """Index measuring datapoints by key; of several, the first with a value counts."""
    found: dict[str, InferredDatapoint] = {}
    for point in points:
        if point.key and (point.key not in found or found[point.key].raw is None):
            found[point.key] = point
    return found


def sentinels(spec: Specified) -> tuple[int, ...]:
    """Return a minimum of nines: devices send it if they measured nothing, so it proves nothing."""
    text = str(spec.lowest)
    return (spec.lowest,) if spec.lowest and len(text) > 6 and set(text[1:]) == {"9"} else ()  # noqa: PLR2004
