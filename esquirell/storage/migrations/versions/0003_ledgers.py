"""Ledgers: what is remembered about each meter's counters from one reading to the next."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "ledger",
        sa.Column("meter_id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("state", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("meter_id", name="pk_ledger"),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name="fk_ledger_meter_id"),
    )
