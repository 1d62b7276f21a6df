"""What tables hold, as rows of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from propensity.contract import PRIVATE


def decision_answers(decisions: pd.DataFrame) -> list[dict[str, Any]]:
    """Decisions as JSON-ready objects: ISO times in UTC, missing values as None."""
    return [clean(row) for row in decisions.to_dict(orient="records")]


def decision_rows(
    answers: Sequence[dict[str, Any]],
    decided_at: pd.Timestamp,
    probabilities: pd.DataFrame,
    spend: Sequence[float] | None = None,
) -> list[dict[str, Any]]:
    """Rows of `schema.decisions` for answers that were given; see `Ledger.add_decisions`."""
    own = ("decision_id", "customer_id", "campaign", "action", "assignment", "probability", "cost", "would_have_sent")
    return [
        {
            **{k: a[k] for k in own},
            "decided_at": decided_at.to_pydatetime(),
            "probabilities": chances,
            "answer": a,
            "spend": spent,
        }
        for a, chances, spent in zip(
            answers,
            probabilities.to_dict(orient="records"),
            [None] * len(answers) if spend is None else map(float, spend),
            strict=True,
        )
    ]


def snapshot_rows(customers: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of `schema.customers` for a checked contract table, without what is private (`contract.PRIVATE`)."""
    apart = {"customer_id", "as_of", "churned_at", *PRIVATE}
    attributes = customers[[name for name in customers if name not in apart]].to_dict(orient="records")
    return [
        {"customer_id": key, "as_of": as_of, "churned_at": churned_at, "attributes": clean(row)}
        for key, as_of, churned_at, row in zip(
            customers["customer_id"], times(customers["as_of"]), times(customers["churned_at"]), attributes, strict=True
        )
    ]


def clean(row: dict[Any, Any]) -> dict[str, Any]:
    """A row as JSON-ready values."""
    return {str(k): _json_value(v) for k, v in row.items()}


def _json_value(value: Any) -> Any:
    if type(value) in (str, bool, int):  # most of them
        return value
    if isinstance(value, (list, tuple)):
        return [_json_value(v) for v in value]
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, datetime):  # a pandas Timestamp is one
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def none_if_missing(value: Any) -> Any:
    """A value, or None in place of any kind of missing one."""
    return None if value is None or pd.isna(value) else value


def times(values: pd.Series) -> list[datetime]:
    """Aware times as the database takes them."""
    return [t.to_pydatetime() for t in values]
