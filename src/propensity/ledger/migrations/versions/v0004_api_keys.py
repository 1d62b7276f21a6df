"""Keys of the API."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None
LOST_BY_DOWNGRADE: dict[str, str] = {"api_keys": "API keys, so that nobody can ask the service"}


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column(
            "prefix", sa.Text(), nullable=False, unique=True, comment="the part of the key that people and logs see"
        ),
        sa.Column("hash", sa.Text(), nullable=False, comment="of the whole key, which is kept nowhere"),
        sa.Column("name", sa.Text(), nullable=False, comment="of whoever holds the key"),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), comment="missing: never"),
        sa.Column(
            "revoked_at",
            sa.DateTime(timezone=True),
            comment="from then on it opens nothing; the only thing of a key that may change",
        ),
    )


def downgrade() -> None:
    """Remove it: all keys end."""
    op.drop_table("api_keys")
