"""What tests of the reporting routes share: asking, and looking into answers and the ledger."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from propensity.ledger import Ledger, schema

AT = "2026-03-05T09:00:00Z"

BOTH_DATABASES = pytest.mark.parametrize(
    "database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)


def person(customer_id: object = "anna", **values) -> dict:
    return {"customer_id": customer_id, "churned_at": "2025-12-15T00:00:00Z", "consent_email": True, **values}


def decide(client, *customer_ids: str, at: str = AT) -> list[dict]:
    asked = {"campaign": "spring", "at": at, "customers": [person(key) for key in customer_ids]}
    return client.post("/v1/decisions", json=asked).raise_for_status().json()["decisions"]


def rows(ledger: Ledger, table: sa.Table) -> list[dict]:
    with ledger.engine.connect() as connection:
        return [dict(row) for row in connection.execute(sa.select(table)).mappings()]


def events(ledger: Ledger) -> list[dict]:
    return rows(ledger, schema.events)


def statuses(receipt: dict) -> list[str]:
    found = [result["status"] for result in receipt["results"]]
    assert [receipt[s] for s in ("accepted", "duplicate", "rejected")] == [
        found.count(s) for s in ("accepted", "duplicate", "rejected")
    ]
    return found


def problem(response, status: int) -> str:
    """The sentence of a problem, its form checked."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert set(response.json()) == {"type", "status", "title", "detail"}
    return response.json()["detail"]
