"""Readings as JSON, where they wait outside their table."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from esquirell.domain.reading import Reading, iso
from esquirell.storage.books import to_ledger, to_state


def to_body(reading: Reading) -> dict[str, Any]:
    """Write down what of a reading is stored; its diagnostics are only published."""
    return {
        "meter": reading.meter,
        "at": iso(reading.measured_at),
        "values": dict(reading.values),
        "ledger": to_state(reading.ledger) if reading.ledger else None,
        **_beside(reading),
    }


def to_reading(body: Mapping[str, Any]) -> Reading:
    """Read what `to_body` wrote, also by an earlier version."""
    return Reading(
        body["meter"],
        datetime.fromisoformat(body["at"]),
        body["values"],
        ledger=to_ledger(body["ledger"]) if body["ledger"] else None,
        holds_s=body.get("holds_s"),
        begins=frozenset(body.get("begins", ())),
        ranges={key: (low, high) for key, (low, high) in body.get("ranges", {}).items()},
        retracted={
            key: datetime.fromisoformat(at) for key, at in body.get("retracted", {}).items()
        },
    )


def _beside(reading: Reading) -> dict[str, Any]:
    """Write down what a reading says beside its values, mostly nothing."""
    found = {
        "holds_s": reading.holds_s,
        "begins": sorted(reading.begins),
        "ranges": {key: list(seen) for key, seen in reading.ranges.items()},
        "retracted": {key: iso(at) for key, at in reading.retracted.items()},
    }
    return {name: said for name, said in found.items() if said}
