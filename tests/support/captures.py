"""Captured answers of real devices: meters, with what they mean, and others."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).parents[1] / "fixtures"
METERS = FIXTURES / "meters"
NO_METERS = FIXTURES / "no_meters"
# A three-phase meter, read once a minute for two hours; one answer is partial.
SERIES = FIXTURES / "series" / "zndb_gqmmtjclqb7reg5p.jsonl"


@dataclass(frozen=True, slots=True)
class Captured:
    """One file, and what its answer is known to mean.

    `right` holds the value of each quantity key, `also` other keys that are right for it as
    well; of `disputed` keys nothing certain is known.
    """

    file: str
    capture: Mapping[str, Any]
    right: Mapping[str, float]
    also: Mapping[str, tuple[str, ...]]
    disputed: frozenset[str]

    def of(self, source: str, **without: object) -> dict[str, Any]:
        """Return the capture with one of its answers, `dps` or `status`, and parts replaced."""
        other = {"dps": "status", "status": "dps"}[source]
        return {**self.capture, other: None, **without}


def captures() -> Iterator[Captured]:
    """Return the captures of all meters that answered."""
    for file in sorted(METERS.glob("*.json")):
        capture = json.loads(file.read_text(encoding="utf-8"))
        if capture.get("dps") or capture.get("status"):
            yield captured(file.stem, capture)


def unanswered() -> Iterator[Path]:
    """Return the files of the products of which no answer is known."""
    for file in sorted(METERS.glob("*.json")):
        capture = json.loads(file.read_text(encoding="utf-8"))
        if not capture.get("dps") and not capture.get("status"):
            yield file


def no_meters() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Return the captures of devices that measure no electricity."""
    for file in sorted(NO_METERS.glob("*.json")):
        yield file.stem, json.loads(file.read_text(encoding="utf-8"))


def captured(file: str, capture: Mapping[str, Any]) -> Captured:
    """Read a capture with its expected values."""
    assert "expected" in capture, f"{file}: add expected, the values that the display shows"
    return Captured(
        file,
        capture,
        capture["expected"],
        {key: tuple(keys) for key, keys in capture.get("also", {}).items()},
        frozenset(capture.get("disputed", ())),
    )


def is_right(value: float | None, wanted: float) -> bool:
    """Return whether a value is right within half a percent or one last digit."""
    return value is not None and abs(value - wanted) <= max(0.005 * abs(wanted), 0.0011)
