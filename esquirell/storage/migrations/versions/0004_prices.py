"""Prices: lists of what a kWh costs from a moment on, imported for tariffs."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "price",
        sa.Column("tariff", sa.Text, nullable=False),
        sa.Column("start", _instant(), nullable=False),
        sa.Column("bought", sa.Float),
        sa.Column("sold", sa.Float),
        sa.PrimaryKeyConstraint("tariff", "start", name="pk_price"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drop the table with all that is in it, and the view, which reads it."""
    op.execute("DROP VIEW IF EXISTS v_prices")
    op.drop_table("price")


def _instant() -> sa.types.TypeEngine:
    return sa.BigInteger().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
