"""Captured answers of real meters, where the folder that holds them is there."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BESIDE = Path(__file__).parents[3] / "shared" / "meters"
METERS = Path(os.environ.get("ESQUIRELL_SHARED_METERS", _BESIDE))
# What the contract has no quantity for: diagnostics.
_BEYOND = (
    "energy_increment", "energy_increment_today", "energy_absolute", "energy_session",
    "energy_balance", "energy_import_tariff", "energy_output", "energy_today",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Captured:
    """One file, and what its answer is known to mean: `right` is asserted, `disputed` is not."""

    file: str
    capture: Mapping[str, Any]
    right: Mapping[str, float]
    disputed: frozenset[str]

    def of(self, source: str, **without: object) -> dict[str, Any]:
        """Give the capture with one of its answers, `dps` or `status`, and parts replaced."""
        other = {"dps": "status", "status": "dps"}[source]
        return {**self.capture, other: None, **without}


def captures() -> Iterator[Captured]:
    """Give all captures; none where the folder is missing."""
    for file in sorted((METERS / "devices").glob("*.json")):
        yield _captured(file)


def is_right(value: float | None, wanted: float) -> bool:
    """Tell whether a value is right within half a percent or one last digit."""
    return value is not None and abs(value - wanted) <= max(0.005 * abs(wanted), 0.0011)


def _captured(file: Path) -> Captured:
    capture = json.loads(file.read_text())
    right, disputed = {}, set()
    for one in capture["expected"]:
        key = one["quantity"] + ("" if one["phase"] == "total" else f"_{one['phase']}")
        if one["trust"] == "disputed":
            disputed.add(key)
        elif one["quantity"] not in _BEYOND:
            right[key] = one["value"]
    return Captured(file.stem, capture, right, frozenset(disputed))
