"""The history of the tables: Alembic's scripts, one per change, and what several of them use."""

import sqlalchemy as sa

_PER_PHASE = (
    *("voltage", "current", "active_power", "reactive_power", "apparent_power", "power_factor"),
    *("energy_import", "energy_export"),
)
# Those of the first two scripts; a later one adds its own.
QUANTITY_COLUMNS = (
    *(f"{key}{phase}" for key in _PER_PHASE for phase in ("", "_a", "_b", "_c")),
    *("frequency", "temperature", "leakage_current"),
    *("energy_charged", "energy_discharged", "energy_generated", "state_of_charge"),
)


def instant() -> sa.BigInteger:
    """Return the type of a moment: milliseconds of unix time in SQLite."""
    return sa.BigInteger().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
