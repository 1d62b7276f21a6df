"""How Alembic meets the ledger: on the connection, and in the transaction, that `migrating` gives it."""

from alembic import context

from propensity.ledger import schema

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=schema.metadata,
    render_as_batch=True,  # SQLite changes columns by making the table anew
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
