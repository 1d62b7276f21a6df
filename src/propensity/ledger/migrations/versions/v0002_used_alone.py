"""Running totals of what decisions outside waves took."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None
LOST_BY_DOWNGRADE: dict[str, str] = {}

_SPANS_SECONDS = (60, 3_600, 86_400)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ROWS = 5_000
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the table, and count the decisions that are there."""
    totals = op.create_table(
        "used_alone",
        sa.Column("campaign", sa.Text, primary_key=True),
        sa.Column("seconds", sa.Integer, primary_key=True, autoincrement=False, comment="length of the span"),
        sa.Column("starts_at", _TIME, primary_key=True),
        sa.Column("action", sa.Text, primary_key=True),
        sa.Column(
            "writer",
            sa.Integer,
            primary_key=True,
            autoincrement=False,
            comment="a number by chance for each thread that records, so that none waits for another's row",
        ),
        sa.Column("spend", sa.Float, nullable=False, comment="currency"),
        sa.Column("contacts", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    rows = _counted(op.get_bind())
    for start in range(0, len(rows), _ROWS):
        op.bulk_insert(totals, rows[start : start + _ROWS])


def downgrade() -> None:
    """Remove the table; the way forward counts again."""
    op.drop_table("used_alone")


def _counted(connection: sa.Connection) -> list[dict[str, Any]]:
    sums: dict[tuple[Any, ...], list[float]] = defaultdict(lambda: [0.0, 0])
    for (campaign, minute, action), (spend, contacts) in _by_minute(connection).items():
        for seconds in _SPANS_SECONDS:
            total = sums[campaign, seconds, _start(minute, seconds), action]
            total[0] += spend
            total[1] += contacts
    # SQLite knows no time zones
    zone = None if connection.dialect.name == "sqlite" else UTC
    return [
        {
            "campaign": campaign,
            "seconds": seconds,
            "starts_at": starts_at.replace(tzinfo=zone),
            "action": action,
            "writer": 0,
            "spend": spend,
            "contacts": contacts,
        }
        for (campaign, seconds, starts_at, action), (spend, contacts) in sums.items()
    ]


def _by_minute(connection: sa.Connection) -> dict[tuple[str, datetime, str], list[float]]:
    d = sa.table(
        "decisions",
        sa.column("campaign", sa.Text),
        sa.column("action", sa.Text),
        sa.column("decided_at", _TIME),
        sa.column("spend", sa.Float),
        sa.column("wave_id", sa.Integer),
    ).c
    query = sa.select(d.campaign, d.decided_at, d.action, d.spend).where(d.wave_id.is_(None), d.action != "control")
    sums: dict[tuple[str, datetime, str], list[float]] = defaultdict(lambda: [0.0, 0])
    for campaign, at, action, spend in connection.execute(query.execution_options(yield_per=_ROWS)):
        aware = at.replace(tzinfo=UTC) if at.tzinfo is None else at
        total = sums[campaign, _start(aware, _SPANS_SECONDS[0]), action]
        total[0] += spend or 0.0
        total[1] += 1
    return sums


def _start(at: datetime, seconds: int) -> datetime:
    span = timedelta(seconds=seconds)
    return _EPOCH + (at - _EPOCH) // span * span
