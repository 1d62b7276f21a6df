"""What tables hold, as rows of the ledger."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd


def decision_answers(decisions: pd.DataFrame) -> list[dict[str, Any]]:
    """Decisions as JSON-ready objects: ISO times in UTC, missing values as None."""
    return [clean(row) for row in decisions.to_dict(orient="records")]


def clean(row: dict[Any, Any]) -> dict[str, Any]:
    """A row as JSON-ready values."""
    return {str(k): _json_value(v) for k, v in row.items()}


def _json_value(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_json_value(v) for v in value]
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, pd.Timestamp):
        return value.tz_convert("UTC").isoformat().replace("+00:00", "Z")
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
