"""Maintenance of the database: upgrades, backups, repair, moving, and who may use it."""
