"""How long readings hold and their ranges; how much of an hour is known or estimated."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

ADDED = {
    "reading": (
        ("holds_s", sa.Integer()),
        ("begins", sa.JSON()),
        ("ranges", sa.JSON()),
    ),
    "statistic": (("seconds", sa.Float()),),
}


def upgrade() -> None:
    """Add the columns."""
    for table, columns in ADDED.items():
        for name, kind in columns:
            op.add_column(table, sa.Column(name, kind))
    marked = sa.Column("estimated", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("statistic", marked)


def downgrade() -> None:
    """Drop the columns with all that is in them, and the views, which read them."""
    for name in ("v_readings", "v_hourly", "v_daily", "v_monthly"):
        op.execute(f"DROP VIEW IF EXISTS {name}")
    op.drop_column("statistic", "estimated")
    for table, columns in ADDED.items():
        for name, _ in columns:
            op.drop_column(table, name)
