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
