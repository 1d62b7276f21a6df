"""The ledger's tables. What is written stays: rows are added, never changed, except to forget a person.

A change here needs a migration: see `propensity.ledger.migrations`.
"""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.engine import Dialect


class UtcTime(sa.types.TypeDecorator[datetime]):
    """An aware time, kept in UTC on every database (SQLite knows no time zones)."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times; store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"expected a time with a time zone, found {value}")
        return value.astimezone(UTC).replace(tzinfo=None) if dialect.name == "sqlite" else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give back an aware time."""
        return None if value is None else value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


OPT_OUTS = ("unsubscribed", "complained", "excluded")
"""Types of events after which a person is not contacted again."""

metadata = sa.MetaData()

campaigns = sa.Table(
    "campaigns",
    metadata,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("follows", sa.Text, comment="the campaign whose results this one acts on"),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("window_days", sa.Float, nullable=False, comment="attribution window"),
    sa.Column("reactivated_word", sa.Text, nullable=False),
    sa.Column("reactivated_words", sa.Text, nullable=False, comment="its plural"),
    sa.Column("started_at", UtcTime, nullable=False),
    sa.Column("playbook", sa.JSON(none_as_null=True), comment="as it was when the campaign began, with its defaults"),
)
customers = sa.Table(
    "customers",
    metadata,
    sa.Column("customer_id", sa.Text, primary_key=True),
    sa.Column("as_of", UtcTime, primary_key=True),
    sa.Column("churned_at", UtcTime, nullable=False),
    sa.Column("attributes", sa.JSON, nullable=False, comment="all other columns of the snapshot that are not private"),
)
decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("decision_id", sa.Text, primary_key=True),
    sa.Column("customer_id", sa.Text, nullable=False, index=True),
    sa.Column("campaign", sa.Text, nullable=False, index=True),
    sa.Column("decided_at", UtcTime, nullable=False),
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
waves = sa.Table(
    "waves",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("campaign", sa.Text, nullable=False, index=True),
    sa.Column("decided_at", UtcTime, nullable=False),
    sa.Column("recorded_at", UtcTime, nullable=False),
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
used_alone = sa.Table(
    "used_alone",
    metadata,
    sa.Column("campaign", sa.Text, primary_key=True),
    sa.Column("seconds", sa.Integer, primary_key=True, autoincrement=False, comment="length of the span"),
    sa.Column("starts_at", UtcTime, primary_key=True),
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
events = sa.Table(
    "events",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("event_id", sa.Text, primary_key=True),
    sa.Column("customer_id", sa.Text, nullable=False, index=True),
    sa.Column("decision_id", sa.Text),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("amount", sa.Float),
)
tombstones = sa.Table(
    "tombstones",
    metadata,
    sa.Column("customer_hash", sa.Text, primary_key=True, comment="of an erased customer's id"),
    sa.Column("erased_at", UtcTime, nullable=False),
)
assessments = sa.Table(
    "assessments",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("campaign", sa.Text, nullable=False, index=True),
    sa.Column("model_version", sa.Text, nullable=False),
    sa.Column("recorded_at", UtcTime, nullable=False),
    sa.Column("content", sa.JSON, nullable=False),
)
promotions = sa.Table(
    "promotions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("from_version", sa.Text),
    sa.Column("to_version", sa.Text, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, comment="promotion, forced or rollback; missing in rows of older versions: promotion"),
    sa.Column("checks", sa.JSON, comment="of the gate, as they came out"),
)
playbook_approvals = sa.Table(
    "playbook_approvals",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False, comment="of the playbook"),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("content", sa.JSON, nullable=False, comment="the playbook as it was approved, with its defaults"),
    sa.Column("what_if", sa.JSON(none_as_null=True), comment="what it was expected to do"),
    sa.Column("why", sa.Text),
)
published_summaries = sa.Table(
    "published_summaries",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("campaign", sa.Text, nullable=False, index=True),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("who", sa.Text, nullable=False, comment="who published it"),
    sa.Column("as_of", UtcTime, nullable=False, comment="until when the ledger was read"),
    sa.Column("fingerprint", sa.Text, nullable=False, comment="of the data that the figures rest on"),
    sa.Column("content", sa.JSON, nullable=False, comment="every figure and the verdict"),
    sa.Column("page", sa.Text, nullable=False, comment="as it was shown, HTML"),
)
leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.Text, primary_key=True, comment="of what only one may do at a time"),
    sa.Column("token", sa.Text, nullable=False, comment="by chance; of the one who does it"),
    sa.Column("who", sa.Text, nullable=False, comment="for people"),
    sa.Column("since", UtcTime, nullable=False),
    sa.Column("expires_at", UtcTime, nullable=False, comment="unless renewed before; the row goes when it is done"),
)
api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("prefix", sa.Text, nullable=False, unique=True, comment="the part of the key that people and logs see"),
    sa.Column("hash", sa.Text, nullable=False, comment="of the whole key, which is kept nowhere"),
    sa.Column("name", sa.Text, nullable=False, comment="of whoever holds the key"),
    sa.Column("scopes", sa.JSON, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("expires_at", UtcTime, comment="missing: never"),
    sa.Column("revoked_at", UtcTime, comment="from then on it opens nothing; the only thing of a key that may change"),
)
