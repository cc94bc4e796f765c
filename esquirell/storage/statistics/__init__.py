"""Statistics in the database: rows, watermarks, and views for people."""
