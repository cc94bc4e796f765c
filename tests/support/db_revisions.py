"""Databases that claim to be of another revision."""

from sqlalchemy import text

from esquirell.storage.database import Database


def stamp(database: Database, revision: str) -> None:
    statement = text("UPDATE alembic_version SET version_num = :revision")
    with database.write() as connection:
        connection.execute(statement, {"revision": revision})
