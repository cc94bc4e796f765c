"""Readings as JSON, for the spool."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from esquirell.domain.device import Instrument
from esquirell.domain.reading import Reading, iso
from esquirell.domain.undated import Undated
from esquirell.storage.meters import to_ledger, to_state


def to_body(reading: Reading) -> dict[str, Any]:
    """Return the stored part of a reading as JSON; its diagnostics are only published."""
    return {
        "meter": reading.meter,
        "at": iso(reading.measured_at),
        "values": dict(reading.values),
        "ledger": to_state(reading.ledger) if reading.ledger else None,
        **_beside(reading),
    }


def to_reading(body: Mapping[str, Any]) -> Reading:
    """Parse what `to_body` returned, also in an earlier version."""
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


def to_undated_body(reading: Reading) -> dict[str, Any]:
    """Return a reading as its meter sent it as JSON, to be checked once its time is known."""
    undated = reading.undated
    assert undated is not None  # noqa: S101 - for the type checker
    return {
        "meter": reading.meter,
        "values": dict(undated.values),
        "instrument": {
            "source": undated.instrument.source,
            "keys": list(undated.instrument.keys),
            "invert": undated.instrument.invert,
            "adds": list(undated.instrument.adds),
        },
        "increments": dict(reading.increments),
        "interrupted": reading.interrupted,
        **_beside(reading),
    }


def to_undated(body: Mapping[str, Any], boot: str, uptime_s: float, at: datetime) -> Reading:
    """Parse what `to_undated_body` returned."""
    known = body["instrument"]
    invert = known["invert"] if isinstance(known["invert"], bool) else tuple(known["invert"])
    instrument = Instrument(known["source"], known["keys"], invert, known.get("adds", ()))
    undated = Undated(boot, uptime_s, body["values"], instrument)
    reading = to_reading({**body, "at": at.isoformat(), "ledger": None})
    return replace(
        reading,
        undated=undated,
        increments=body.get("increments", {}),
        interrupted=body.get("interrupted", False),
    )


def _beside(reading: Reading) -> dict[str, Any]:
    """Return the fields of a reading beside its values, mostly none."""
    found = {
        "holds_s": reading.holds_s,
        "begins": sorted(reading.begins),
        "ranges": {key: list(seen) for key, seen in reading.ranges.items()},
        "retracted": {key: iso(at) for key, at in reading.retracted.items()},
    }
    return {name: said for name, said in found.items() if said}
