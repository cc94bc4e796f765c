"""How the tables came to be: Alembic's scripts, one per change."""
