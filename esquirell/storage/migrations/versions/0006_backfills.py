"""Backfills: what was written into Home Assistant's statistics, and what was there before."""

import sqlalchemy as sa
from alembic import op

from esquirell.storage.migrations import instant

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "backfill",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("at", instant(), nullable=False),
        sa.Column("meter", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("done", sa.Boolean, nullable=False),
        sa.Column("undone", sa.Boolean, nullable=False),
        sa.Column("undo_from", sa.Float),
        sa.Column("step", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_backfill"),
    )
    op.create_index("ix_backfill_undone", "backfill", ["undone"])
