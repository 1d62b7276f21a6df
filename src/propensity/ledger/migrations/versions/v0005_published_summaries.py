"""Published summaries, which the database itself keeps as they were."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None
LOST_BY_DOWNGRADE: dict[str, str] = {"published_summaries": "published summaries"}

_TABLE = "published_summaries"
_FUNCTION = "propensity_published"
_REFUSAL = "published summaries are never changed or removed"


def upgrade() -> None:
    """Make the table and its triggers."""
    op.create_table(
        _TABLE,
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("campaign", sa.Text(), nullable=False, index=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.Text(), nullable=False, comment="who published it"),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False, comment="until when the ledger was read"),
        sa.Column("fingerprint", sa.Text(), nullable=False, comment="of the data that the figures rest on"),
        sa.Column("content", sa.JSON(), nullable=False, comment="every figure and the verdict"),
        sa.Column("page", sa.Text(), nullable=False, comment="as it was shown, HTML"),
    )
    postgresql = op.get_bind().dialect.name == "postgresql"
    if postgresql:
        op.execute(
            f"CREATE FUNCTION {_FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$"
        )
    carried_out = f"EXECUTE FUNCTION {_FUNCTION}()" if postgresql else f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
    for event in ("UPDATE", "DELETE"):
        op.execute(f"CREATE TRIGGER {_TABLE}_no_{event.lower()} BEFORE {event} ON {_TABLE} FOR EACH ROW {carried_out}")


def downgrade() -> None:
    """Remove both: what was published is lost."""
    op.drop_table(_TABLE)
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"DROP FUNCTION {_FUNCTION}()")
