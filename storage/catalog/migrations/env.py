"""Alembic's entry: runs the migrations over the connection that `database.py` hands in."""

from alembic import context

from storage.catalog.schema import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    render_as_batch=True,
)
context.run_migrations()
