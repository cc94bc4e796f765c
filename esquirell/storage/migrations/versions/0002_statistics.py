"""Statistics by hour, day and month, and how far they are worked up."""

import sqlalchemy as sa
from alembic import op

from esquirell.storage.migrations import QUANTITY_COLUMNS, instant

revision = "0002"
down_revision = "0001"


def _names(key: str) -> tuple[str, ...]:
    if key.startswith("energy"):
        return (key,)
    return tuple(f"{key}_{part}" for part in ("min", "mean", "max"))


def upgrade() -> None:
    """Make the tables."""
    names = [name for key in QUANTITY_COLUMNS for name in _names(key)]
    op.create_table(
        "statistic",
        sa.Column("meter_id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("resolution", sa.Text, nullable=False),
        sa.Column("start", instant(), nullable=False),
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
        sa.Column("done_to", instant(), nullable=False),
        sa.Column("zone", sa.Text, nullable=False),
        sa.Column("pruned_to", instant()),
        sa.PrimaryKeyConstraint("meter_id", name="pk_rollup"),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name="fk_rollup_meter_id"),
    )
