"""Prices: lists of what a kWh costs from a moment on, imported for tariffs."""

import sqlalchemy as sa
from alembic import op

from esquirell.storage.migrations import instant

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "price",
        sa.Column("tariff", sa.Text, nullable=False),
        sa.Column("start", instant(), nullable=False),
        sa.Column("bought", sa.Float),
        sa.Column("sold", sa.Float),
        sa.PrimaryKeyConstraint("tariff", "start", name="pk_price"),
        sqlite_with_rowid=False,
    )
