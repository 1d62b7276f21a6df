"""How Alembic meets the ledger: on the connection, and in the transaction, that `migrating` gives it."""

from typing import Any, Literal

from alembic import context

from propensity.ledger import schema


def _plainly(kind: str, item: Any, _: object) -> str | Literal[False]:
    """Drafts name the database's types: what they make must not change with ours."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, schema.UtcTime) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=schema.metadata,
    render_as_batch=True,  # SQLite changes columns by making the table anew
    render_item=_plainly,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
