"""What tables hold, as rows of the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Any

import numpy as np
import pandas as pd

from propensity.contract import PRIVATE, plain
from propensity.people import Customers, People, in_utc


def decision_answers(decisions: pd.DataFrame | Mapping[str, Any]) -> list[dict[str, Any]]:
    """Decisions as JSON-ready objects: ISO times in UTC, missing values as None.

    They are a table, or its columns (n,): what is no array or list is the same for all, and times without a zone are
    UTC. ``customer_id`` is always one a row.
    """
    n = len(decisions["customer_id"]) if "customer_id" in decisions else len(decisions)
    return _objects({name: _json_column(values, n) for name, values in decisions.items()}, n)


def _objects(columns: Mapping[Any, list[Any]], n: int) -> list[dict[str, Any]]:
    """Columns (n,) as n objects."""
    names = [str(name) for name in columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)] if names else [{}] * n


def _json_column(values: Any, n: int) -> list[Any]:
    """The JSON-ready values (n,) of a column."""
    if isinstance(values, (pd.Series, pd.api.extensions.ExtensionArray)):
        values = _plain(values)
    if not isinstance(values, (np.ndarray, list)):
        return [_json_value(values)] * n
    if isinstance(values, list) or values.dtype.kind == "O":
        return [_json_value(value) for value in values]
    if values.dtype.kind == "M":
        return _json_times(values)
    if values.dtype.kind == "f":
        return [value if isfinite(value) else None for value in values.tolist()]
    return values.tolist()


def _plain(values: Any) -> np.ndarray | list[Any]:
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return in_utc(values)
    return values.to_numpy() if isinstance(values.dtype, np.dtype) else plain(values)


def _json_times(values: np.ndarray) -> list[Any]:
    """Times (n,), UTC without a zone, as texts."""
    if values.dtype != "datetime64[us]":
        return [_json_value(pd.Timestamp(value, tz="UTC")) for value in values]
    return [None if moment is None else moment.isoformat() + "Z" for moment in values.tolist()]


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
            _objects(dict(zip(probabilities, probabilities.to_numpy().T.tolist(), strict=True)), len(probabilities)),
            [None] * len(answers) if spend is None else map(float, spend),
            strict=True,
        )
    ]


def snapshot_rows(customers: Customers) -> list[dict[str, Any]]:
    """Rows of `schema.customers` for a checked contract table, without what is private (`contract.PRIVATE`)."""
    apart = {"customer_id", "as_of", "churned_at", *PRIVATE}
    people = People.of(customers)
    n = len(people)
    attributes = _objects({x: _json_column(people.array(x), n) for x in people if x not in apart}, n)
    return [
        {"customer_id": key, "as_of": as_of, "churned_at": churned_at, "attributes": row}
        for key, as_of, churned_at, row in zip(
            people.ids,
            times(people.array("as_of")),
            times(people.array("churned_at")),
            attributes,
            strict=True,
        )
    ]


def clean(row: Mapping[Any, Any]) -> dict[str, Any]:
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


def times(values: Any) -> list[datetime]:
    """Aware times as the database takes them."""
    return [t.to_pydatetime() for t in values]
