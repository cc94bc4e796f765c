"""Storage: everything SQLAlchemy, on SQLite and PostgreSQL."""
