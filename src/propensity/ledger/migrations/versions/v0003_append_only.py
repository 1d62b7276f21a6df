"""The database itself refuses to change or remove decisions and events, except to forget a person."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None
LOST_BY_DOWNGRADE: dict[str, str] = {}

_KEPT = {
    "decisions": (
        *("campaign", "decided_at", "action", "assignment", "probability", "cost", "probabilities"),
        *("would_have_sent", "spend", "wave_id"),
    ),
    "events": ("source", "at", "type", "amount"),
}
_PSEUDONYMS = {"decisions": ("customer_id", "decision_id"), "events": ("customer_id", "event_id")}
_FUNCTION = "propensity_append_only"


def upgrade() -> None:
    """Make the triggers."""
    postgresql = op.get_bind().dialect.name == "postgresql"
    if postgresql:
        op.execute(
            f"CREATE OR REPLACE FUNCTION {_FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION '% are never changed or removed, except to forget a person', TG_TABLE_NAME; END $$"
        )
    for table in _KEPT:
        for event, condition in (("UPDATE", f"WHEN ({_is_no_erasing(table)})"), ("DELETE", "")):
            trigger = f"CREATE TRIGGER {_name(table, event)} BEFORE {event} ON {table} FOR EACH ROW {condition} "
            if postgresql:
                op.execute(f"{trigger} EXECUTE FUNCTION {_FUNCTION}()")
            else:
                refusal = f"{table} are never changed or removed, except to forget a person"
                op.execute(f"{trigger} BEGIN SELECT RAISE(ABORT, '{refusal}'); END")


def downgrade() -> None:
    """Remove the triggers."""
    postgresql = op.get_bind().dialect.name == "postgresql"
    for table in _KEPT:
        for event in ("UPDATE", "DELETE"):
            op.execute(f"DROP TRIGGER {_name(table, event)}" + (f" ON {table}" if postgresql else ""))
    if postgresql:
        op.execute(f"DROP FUNCTION {_FUNCTION}()")


def _name(table: str, event: str) -> str:
    return f"{table}_no_{event.lower()}"


def _is_no_erasing(table: str) -> str:
    # JSON has no equality in PostgreSQL, its text has
    changed = [f"CAST(NEW.{c} AS TEXT) IS DISTINCT FROM CAST(OLD.{c} AS TEXT)" for c in _KEPT[table]]
    named = [f"NEW.{c} NOT LIKE 'erased-%'" for c in _PSEUDONYMS[table]]
    answered = ["NEW.answer IS NOT NULL"] if table == "decisions" else []
    return " OR ".join([*changed, *named, *answered])
