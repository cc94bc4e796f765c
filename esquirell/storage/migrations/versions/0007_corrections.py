"""Originals of removed and moved readings, for undoing a correction."""

import sqlalchemy as sa
from alembic import op

from esquirell.storage.migrations import instant

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "correction",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("meter_id", sa.Integer, nullable=False),
        sa.Column("at", instant(), nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("shift_ms", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_correction"),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name="fk_correction_meter_id"),
    )
    op.create_table(
        "corrected",
        sa.Column("correction_id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("number", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("correction_id", "number", name="pk_corrected"),
        sa.ForeignKeyConstraint(
            ["correction_id"], ["correction.id"], name="fk_corrected_correction_id"
        ),
        sqlite_with_rowid=False,
    )
