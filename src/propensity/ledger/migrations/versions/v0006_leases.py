"""Leases: who does now what only one may do at a time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None
LOST_BY_DOWNGRADE: dict[str, str] = {}


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), primary_key=True, comment="of what only one may do at a time"),
        sa.Column("token", sa.Text(), nullable=False, comment="by chance; of the one who does it"),
        sa.Column("who", sa.Text(), nullable=False, comment="for people"),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "expires_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="unless renewed before; the row goes when it is done",
        ),
    )


def downgrade() -> None:
    """Remove it: whoever holds a lease notices."""
    op.drop_table("leases")
