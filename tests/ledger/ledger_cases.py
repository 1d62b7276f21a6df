"""Decisions, events and campaigns of tests of the ledger."""

from __future__ import annotations

from typing import Any

import pandas as pd
import sqlalchemy as sa

from propensity.decision import DECISION_COLUMNS
from propensity.ledger import Ledger, schema

AT = pd.Timestamp("2026-03-02T09:00:00Z")
CAMPAIGN = "spring"


def decided(*customer_ids: str, action: str = "email", **values: Any) -> pd.DataFrame:
    """Decisions, the same for all but the person."""
    row = {
        **dict.fromkeys(DECISION_COLUMNS),
        "campaign": CAMPAIGN,
        "action": action,
        "send": action != "control",
        "assignment": "policy",
        "probability": 0.9,
        "cost": 0.01,
        "reason_codes": ["tried"],
        "uplift": float("nan"),
        "not_before": AT,
        **values,
    }
    return pd.DataFrame([{**row, "customer_id": c, "decision_id": f"d-{c}"} for c in customer_ids])


def record(
    ledger: Ledger, decisions: pd.DataFrame, at: pd.Timestamp = AT, spend: float | None = None, **values: Any
) -> list[dict[str, Any]]:
    """Record decisions of which each action had the chance of the served one, e-mail and control alike."""
    chances = pd.DataFrame(dict.fromkeys(("control", "email"), decisions["probability"]), index=decisions.index)
    spent = None if spend is None else [spend] * len(decisions)
    return ledger.add_decisions(decisions, at, chances, spend=spent, **values)


def event(customer_id: str, kind: str, at: object = AT, **values: Any) -> pd.DataFrame:
    row = {"event_id": f"{kind}-{customer_id}", "source": "esp", "customer_id": customer_id, "at": at, "type": kind}
    return pd.DataFrame([{**row, **values}])


def snapshot(customer_id: str, as_of: pd.Timestamp = AT, **values: Any) -> pd.DataFrame:
    row = {"customer_id": customer_id, "as_of": as_of, "churned_at": as_of - pd.Timedelta(days=60), **values}
    return pd.DataFrame([row])


def rows(ledger: Ledger, table: sa.Table) -> list[dict[str, Any]]:
    with ledger.engine.connect() as connection:
        found = connection.execute(sa.select(table).order_by(*table.primary_key)).mappings()
        return [dict(row) for row in found]


def everything(ledger: Ledger) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables."""
    return {name: rows(ledger, table) for name, table in schema.metadata.tables.items()}


def count(ledger: Ledger, table: sa.Table) -> int:
    return len(rows(ledger, table))
