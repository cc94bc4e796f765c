"""The history of the tables: Alembic's scripts, one per change."""
