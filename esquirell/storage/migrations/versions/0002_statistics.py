"""Statistics by hour, day and month, and how far they are worked up."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

# As they were at this revision; a later one adds its own.
QUANTITY_COLUMNS = (
    "voltage",
    "voltage_a",
    "voltage_b",
    "voltage_c",
    "current",
    "current_a",
    "current_b",
    "current_c",
    "active_power",
    "active_power_a",
    "active_power_b",
    "active_power_c",
    "reactive_power",
    "reactive_power_a",
    "reactive_power_b",
    "reactive_power_c",
    "apparent_power",
    "apparent_power_a",
    "apparent_power_b",
    "apparent_power_c",
    "power_factor",
    "power_factor_a",
    "power_factor_b",
    "power_factor_c",
    "energy_import",
    "energy_import_a",
    "energy_import_b",
    "energy_import_c",
    "energy_export",
    "energy_export_a",
    "energy_export_b",
    "energy_export_c",
    "frequency",
    "temperature",
    "leakage_current",
    "energy_charged",
    "energy_discharged",
    "energy_generated",
    "state_of_charge",
)
VIEWS = ("v_readings", "v_hourly", "v_daily", "v_monthly")


def _names(key: str) -> tuple[str, ...]:
    if key.startswith("energy"):
        return (key,)
    return tuple(f"{key}_{part}" for part in ("min", "mean", "max"))


def _instant() -> sa.types.TypeEngine:
    return sa.BigInteger().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    names = [name for key in QUANTITY_COLUMNS for name in _names(key)]
    op.create_table(
        "statistic",
        sa.Column("meter_id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("resolution", sa.Text, nullable=False),
        sa.Column("start", _instant(), nullable=False),
        sa.Column("local_start", sa.Text, nullable=False),
        sa.Column("readings", sa.Integer, nullable=False),
        sa.Column("hours", sa.Integer, nullable=False),
        *(sa.Column(name, sa.Float) for name in names),
        sa.Column("peak_demand", sa.Float),
        sa.Column("extra", sa.JSON),
        sa.Column("counters", sa.JSON),
        sa.PrimaryKeyConstraint("meter_id", "resolution", "start", name="pk_statistic"),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name="fk_statistic_meter_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rollup",
        sa.Column("meter_id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("done_to", _instant(), nullable=False),
        sa.Column("zone", sa.Text, nullable=False),
        sa.Column("pruned_to", _instant()),
        sa.PrimaryKeyConstraint("meter_id", name="pk_rollup"),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name="fk_rollup_meter_id"),
    )


def downgrade() -> None:
    """Drop the tables with all that is in them, and the views, which read them."""
    for name in VIEWS:
        op.execute(f"DROP VIEW IF EXISTS {name}")
    for name in ("rollup", "statistic"):
        op.drop_table(name)
