"""Writing to the ledger. Writing the same thing twice is the same as writing it once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import sqlalchemy as sa

from propensity.contract import CONTROL, PROBABILITY_PREFIX
from propensity.ledger import schema
from propensity.ledger.database import Database, parts
from propensity.ledger.rows import clean, decision_answers, none_if_missing, times

IMPORTED = "import"
"""Source of the ``sent`` events of contacts that happened before the ledger did."""


class Writing(Database):
    """What is added to the ledger."""

    def add_campaign(self, campaign: str, **values: Any) -> None:
        """Record a campaign; the columns are those of `schema.campaigns`."""
        self._insert_new(schema.campaigns, [{"campaign": campaign, **values}])

    def add_customers(self, customers: pd.DataFrame) -> None:
        """Record snapshots of customers (a checked contract table)."""
        own = ("customer_id", "as_of", "churned_at")
        attributes = customers.drop(columns=list(own)).to_dict(orient="records")
        rows = [
            {"customer_id": key, "as_of": as_of, "churned_at": churned_at, "attributes": clean(row)}
            for key, as_of, churned_at, row in zip(
                customers["customer_id"],
                times(customers["as_of"]),
                times(customers["churned_at"]),
                attributes,
                strict=True,
            )
        ]
        self._insert_new(schema.customers, self._without_erased(rows))

    def add_contacts(self, contacts: pd.DataFrame) -> None:
        """Record contacts of the past (a checked contract table): decisions that were carried out or held out."""
        wide = [c for c in contacts.columns if c.startswith(PROBABILITY_PREFIX)]
        rows = []
        for row in contacts.to_dict(orient="records"):
            chances = {c.removeprefix(PROBABILITY_PREFIX): row[c] for c in wide}
            rows.append(
                {
                    **{k: row[k] for k in ("decision_id", "customer_id", "campaign", "action")},
                    "decided_at": row["decided_at"].to_pydatetime(),
                    "probability": row["probability"],
                    "cost": row["cost"],
                    "assignment": "holdout" if row["action"] == CONTROL else "explore",
                    "probabilities": chances or None,
                    "answer": None,
                }
            )
        rows = self._without_erased(rows)
        sent = [
            {
                "source": IMPORTED,
                "event_id": f"sent:{row['decision_id']}",
                "customer_id": row["customer_id"],
                "decision_id": row["decision_id"],
                "at": row["decided_at"],
                "type": "sent",
                "amount": None,
            }
            for row in rows
            if row["action"] != CONTROL
        ]
        with self.engine.begin() as connection:
            self._insert(connection, schema.decisions, rows)
            self._insert(connection, schema.events, sent)

    def add_decisions(
        self, decisions: pd.DataFrame, decided_at: pd.Timestamp, probabilities: pd.DataFrame
    ) -> list[dict[str, Any]]:
        """Record decisions; what was decided before in the same window stays as it was.

        Parameters
        ----------
        decisions : DataFrame (n, 26)
        decided_at : Timestamp
        probabilities : DataFrame (n, actions with control)
            The chance of every action, which learning from these decisions needs.

        Returns
        -------
        list of dict
            The decisions that stand, all keys, in the order given. Nothing is recorded of the erased: theirs come
            back as they were given.
        """
        answers = decision_answers(decisions)
        rows = [
            {
                **{k: a[k] for k in ("decision_id", "customer_id", "campaign", "action", "assignment")},
                "decided_at": decided_at.to_pydatetime(),
                "probability": a["probability"],
                "cost": a["cost"],
                "probabilities": chances,
                "answer": a,
            }
            for a, chances in zip(answers, probabilities.to_dict(orient="records"), strict=True)
        ]
        rows = self._without_erased(rows)
        self._insert_new(schema.decisions, rows)
        stored = self._answers([row["decision_id"] for row in rows])
        return [stored.get(a["decision_id"], a) for a in answers]

    def add_outcomes(self, outcomes: pd.DataFrame) -> None:
        """Record events (a checked contract table); an event that is there already, by source and id, is skipped."""
        records = outcomes.to_dict(orient="records")
        rows = [
            {
                **{k: row[k] for k in ("source", "event_id", "customer_id", "type")},
                "decision_id": none_if_missing(row.get("decision_id")),
                "at": row["at"].to_pydatetime(),
                "amount": none_if_missing(row.get("amount")),
            }
            for row in records
        ]
        self._insert_new(schema.events, self._without_erased(rows))

    def add_assessment(self, campaign: str, model_version: str, content: dict[str, Any]) -> None:
        """Record what a model that learnt from a campaign was worth on its held-out people."""
        row = {
            "campaign": campaign,
            "model_version": model_version,
            "recorded_at": datetime.now(UTC),
            "content": content,
        }
        with self.engine.begin() as connection:
            connection.execute(schema.assessments.insert(), [row])

    def add_promotion(self, **values: Any) -> None:
        """Record a promotion that has been made; the columns are those of `promotion`."""
        with self.promotion(**values):
            pass

    @contextmanager
    def promotion(
        self,
        *,
        who: str,
        model: str,
        from_version: str | None,
        to_version: str,
        why: str,
        kind: str = "promotion",
        checks: list[dict[str, Any]] | None = None,
    ) -> Iterator[None]:
        """Record a promotion, a forced one or a rollback, if the block, which carries it out, succeeds."""
        row = {"who": who, "model": model, "from_version": from_version, "to_version": to_version, "why": why}
        with self.engine.begin() as connection:
            values = {**row, "at": datetime.now(UTC), "kind": kind, "checks": checks}
            connection.execute(schema.promotions.insert(), [values])
            yield

    def _answers(self, decision_ids: list[str]) -> dict[str, dict[str, Any]]:
        d = schema.decisions
        found: dict[str, dict[str, Any]] = {}
        with self.engine.connect() as connection:
            for part in parts(decision_ids):
                query = sa.select(d.c.decision_id, d.c.answer).where(d.c.decision_id.in_(part))
                found.update((key, answer) for key, answer in connection.execute(query))
        return found
