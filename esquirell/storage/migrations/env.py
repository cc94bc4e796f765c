"""Alembic's entry: works on the connection, and in the transaction, that it is handed."""

from alembic import context

from esquirell.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite changes a table by rebuilding it.
    render_as_batch=True,
)
context.run_migrations()
