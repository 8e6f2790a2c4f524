"""Alembic's environment for one branch, run by `looma_core.db.migrate` on the connection that it hands over."""

from alembic import context

from looma_core.db.schema import VERSION_SCHEMA

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=None,
    version_table=context.config.attributes["version_table"],
    version_table_schema=VERSION_SCHEMA,
    # All steps of a branch or none: a failed job leaves the database as it was.
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
