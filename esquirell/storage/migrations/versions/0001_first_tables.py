"""First tables: meters, readings, schedules, commands."""

import sqlalchemy as sa
from alembic import op

from esquirell.storage.migrations import QUANTITY_COLUMNS, instant

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "meter",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("keys", sa.JSON, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_meter"),
        sa.UniqueConstraint("name", name="uq_meter_name"),
    )
    op.create_table(
        "reading",
        sa.Column("meter_id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("measured_at", instant(), nullable=False),
        *(sa.Column(name, sa.Float) for name in QUANTITY_COLUMNS),
        sa.Column("extra", sa.JSON),
        sa.PrimaryKeyConstraint("meter_id", "measured_at", name="pk_reading"),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name="fk_reading_meter_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "schedule",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("base", sa.JSON),
        sa.Column("overrides", sa.JSON, nullable=False),
        sa.Column("removed", sa.Boolean, nullable=False),
        sa.Column("last_run_at", instant()),
        sa.Column("last_result", sa.Text),
        sa.PrimaryKeyConstraint("name", name="pk_schedule"),
    )
    op.create_table(
        "command_log",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("at", instant(), nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("command", sa.Text, nullable=False),
        sa.Column("request", sa.JSON, nullable=False),
        sa.Column("transaction_key", sa.Text),
        sa.Column("reply", sa.JSON),
        sa.Column("waits", sa.Boolean, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("ended_at", instant()),
        sa.Column("answer", sa.JSON),
        sa.PrimaryKeyConstraint("id", name="pk_command_log"),
    )
    op.create_index("ix_command_log_at", "command_log", ["at"])
    for column in ("transaction_key", "waits", "status"):
        op.create_index(f"ix_command_log_{column}", "command_log", [column])
