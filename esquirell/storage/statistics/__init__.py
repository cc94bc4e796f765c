"""Statistics in the database: rows, how far they are worked up, and views for people."""
