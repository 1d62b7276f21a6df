"""The ledger as it was when migrations began.

Ledgers older than that are taken over: what they lack is added, and what they hold stays. All columns that came after
a table did may be missing in a row.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None
LOST_BY_DOWNGRADE: dict[str, str] = {}

_TIME = sa.DateTime(timezone=True)
_first = sa.MetaData()

sa.Table(
    "campaigns",
    _first,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("follows", sa.Text, comment="the campaign whose results this one acts on"),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("window_days", sa.Float, nullable=False, comment="attribution window"),
    sa.Column("reactivated_word", sa.Text, nullable=False),
    sa.Column("reactivated_words", sa.Text, nullable=False, comment="its plural"),
    sa.Column("started_at", _TIME, nullable=False),
    sa.Column("playbook", sa.JSON, comment="as it was when the campaign began, with its defaults"),
)
sa.Table(
    "customers",
    _first,
    sa.Column("customer_id", sa.Text, primary_key=True),
    sa.Column("as_of", _TIME, primary_key=True),
    sa.Column("churned_at", _TIME, nullable=False),
    sa.Column("attributes", sa.JSON, nullable=False, comment="all other columns of the snapshot that are not private"),
)
sa.Table(
    "decisions",
    _first,
    sa.Column("decision_id", sa.Text, primary_key=True),
    sa.Column("customer_id", sa.Text, nullable=False, index=True),
    sa.Column("campaign", sa.Text, nullable=False, index=True),
    sa.Column("decided_at", _TIME, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("assignment", sa.Text, nullable=False),
    sa.Column("probability", sa.Float, nullable=False),
    sa.Column("cost", sa.Float, nullable=False),
    sa.Column("probabilities", sa.JSON, comment="of every action, where they differ between people"),
    sa.Column("answer", sa.JSON, comment="the decision as it was given, all keys"),
    sa.Column("would_have_sent", sa.Text, comment="what the person would get if nobody were held out or tried"),
    sa.Column("spend", sa.Float, comment="expected: contact, and offer where it is redeemed, currency"),
    sa.Column("wave_id", sa.Integer, comment="the wave that it was decided in; missing: decided alone"),
    sa.Index("decisions_of_a_wave", "campaign", "wave_id", "decided_at"),
)
sa.Table(
    "waves",
    _first,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("campaign", sa.Text, nullable=False, index=True),
    sa.Column("decided_at", _TIME, nullable=False),
    sa.Column("recorded_at", _TIME, nullable=False),
    sa.Column("model_version", sa.Text, nullable=False),
    sa.Column("playbook_version", sa.Text, nullable=False),
    sa.Column("people", sa.Integer, nullable=False, comment="all who were in the file"),
    sa.Column("standing", sa.Integer, nullable=False, comment="those of them who had a decision already, which stands"),
    sa.Column("budget", sa.Float, comment="that was asked for, currency; missing: the playbook's"),
    sa.Column("weeks", sa.Float, nullable=False, comment="of capacity"),
    sa.Column("limits", sa.JSON, nullable=False, comment="by name: amount, used (also by who stands), price"),
    sa.Column("terms", sa.JSON, nullable=False, comment="for single decisions: prices and explore_weights"),
    sa.Column("funnel", sa.JSON, nullable=False, comment="rows of step, stopped, left"),
    sa.Column("file_sha256", sa.Text, nullable=False, comment="of the file of customers"),
)
sa.Table(
    "events",
    _first,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("event_id", sa.Text, primary_key=True),
    sa.Column("customer_id", sa.Text, nullable=False, index=True),
    sa.Column("decision_id", sa.Text),
    sa.Column("at", _TIME, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("amount", sa.Float),
)
sa.Table(
    "tombstones",
    _first,
    sa.Column("customer_hash", sa.Text, primary_key=True, comment="of an erased customer's id"),
    sa.Column("erased_at", _TIME, nullable=False),
)
sa.Table(
    "assessments",
    _first,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("campaign", sa.Text, nullable=False, index=True),
    sa.Column("model_version", sa.Text, nullable=False),
    sa.Column("recorded_at", _TIME, nullable=False),
    sa.Column("content", sa.JSON, nullable=False),
)
sa.Table(
    "promotions",
    _first,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", _TIME, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("from_version", sa.Text),
    sa.Column("to_version", sa.Text, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, comment="promotion, forced or rollback; missing in rows of older versions: promotion"),
    sa.Column("checks", sa.JSON, comment="of the gate, as they came out"),
)
sa.Table(
    "playbook_approvals",
    _first,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", _TIME, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False, comment="of the playbook"),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("content", sa.JSON, nullable=False, comment="the playbook as it was approved, with its defaults"),
    sa.Column("what_if", sa.JSON, comment="what it was expected to do"),
    sa.Column("why", sa.Text),
)


def upgrade() -> None:
    """Make the tables, columns and indexes that are not there yet."""
    connection = op.get_bind()
    _first.create_all(connection)
    inspector = sa.inspect(connection)
    for table in _first.sorted_tables:
        columns = {column["name"] for column in inspector.get_columns(table.name)}
        for column in table.columns:
            if column.name not in columns:
                op.add_column(table.name, sa.Column(column.name, column.type, comment=column.comment))
        for index in table.indexes:
            index.create(connection, checkfirst=True)


def downgrade() -> None:
    """Remove the ledger, with all that it holds."""
    _first.drop_all(op.get_bind())
