"""Readings to store: small ones, and such as a three-phase meter sends."""

import random
from datetime import UTC, datetime, timedelta

from esquirell.domain.reading import Reading
from esquirell.domain.schedule import StoredSchedule
from esquirell.storage.schedules import Schedules

START = datetime(2026, 11, 22, 10, 15, 0, 123000, tzinfo=UTC)


def sample(meter: str, second: float = 0, **values: float) -> Reading:
    return Reading(meter, START + timedelta(seconds=second), values or {"voltage": 230.5})


def put(schedules: Schedules, *stored: StoredSchedule) -> None:
    schedules.change(lambda _: {one.name: one for one in stored})


def three_phase_values(chance: random.Random) -> dict[str, float]:
    """What the PC321 sends: 28 values, as whole numbers divided by their scale."""
    values: dict[str, float] = {}
    for suffix in ("_a", "_b", "_c"):
        values |= {
            f"voltage{suffix}": chance.randint(2200, 2450) / 10,
            f"current{suffix}": chance.randint(100, 16000) / 1000,
            f"active_power{suffix}": chance.randint(-4000, 4000) / 1,
            f"power_factor{suffix}": chance.randint(10, 100) / 100,
            f"reactive_power{suffix}": chance.randint(0, 800) / 1,
            f"energy_import{suffix}": chance.randint(400_000, 500_000) / 100,
            f"energy_export{suffix}": chance.randint(80_000, 130_000) / 100,
        }
    return values | {
        "energy_import": chance.randint(1_000_000, 1_100_000) / 100,
        "energy_export": chance.randint(300_000, 320_000) / 100,
        "current": chance.randint(300, 48000) / 1000,
        "active_power": chance.randint(-12000, 12000) / 1,
        "reactive_power": chance.randint(0, 2400) / 1,
        "frequency": 50.0,
        "temperature": chance.randint(150, 400) / 10,
    }
