"""Writing to the ledger. Writing the same thing twice is the same as writing it once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import sqlalchemy as sa

from propensity.contract import CONTROL, PROBABILITY_PREFIX
from propensity.ledger import schema
from propensity.ledger.database import Database, parts
from propensity.ledger.rows import decision_answers, decision_rows, none_if_missing, snapshot_rows

IMPORTED = "import"
"""Source of the ``sent`` events of contacts that happened before the ledger did."""


class Writing(Database):
    """What is added to the ledger."""

    def add_campaign(self, campaign: str, **values: Any) -> None:
        """Record a campaign; the columns are those of `schema.campaigns`."""
        self._insert_new(schema.campaigns, [{"campaign": campaign, **values}])

    def add_customers(self, customers: pd.DataFrame) -> None:
        """Record snapshots of customers (a checked contract table)."""
        self._insert_new(schema.customers, self._without_erased(snapshot_rows(customers)))

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
            self.insert(connection, schema.decisions, rows)
            self.insert(connection, schema.events, sent)

    def add_decisions(
        self,
        decisions: pd.DataFrame | Mapping[str, Any],
        decided_at: pd.Timestamp,
        probabilities: pd.DataFrame,
        *,
        spend: Sequence[float] | None = None,
        customers: pd.DataFrame | None = None,
    ) -> list[dict[str, Any]]:
        """Record decisions; what was decided before in the same window stays as it was.

        Parameters
        ----------
        decisions : DataFrame (n, columns), or its columns
            See `decision.DECISION_COLUMNS`.
        decided_at : Timestamp
        probabilities : DataFrame (n, actions with control)
            The chance of every action, which learning from these decisions needs.
        spend : sequence of float (n,), optional
            What each decision is expected to cost, with its offer, currency.
        customers : DataFrame (n, ...), optional
            What the decisions were made from: a snapshot of each person on whom a decision is recorded.

        Returns
        -------
        list of dict
            The decisions that stand, all keys, in the order given. Nothing is recorded of the erased: theirs come
            back as they were given.
        """
        answers = decision_answers(decisions)
        rows = self._without_erased(decision_rows(answers, decided_at, probabilities, spend))
        with self.engine.begin() as connection:
            new = self._insert_counted(connection, rows)
            if customers is not None and new:
                about = {row["customer_id"] for row in rows if row["decision_id"] in new}
                snapshots = snapshot_rows(customers[customers["customer_id"].isin(about)])
                self.insert(connection, schema.customers, snapshots)
        stored = self.standing([row["decision_id"] for row in rows if row["decision_id"] not in new])
        return [stored.get(a["decision_id"], a) for a in answers]

    def _insert_counted(self, connection: sa.Connection, rows: list[dict[str, Any]]) -> set[str]:
        """Insert decisions; the ids of those that were not there yet."""
        if not rows:
            return set()
        statement = self._insert_statement(schema.decisions).returning(schema.decisions.c.decision_id)
        return set(connection.scalars(statement, rows))

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

    def standing(self, decision_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The answers that were given, by decision, of those of these decisions that are in the ledger."""
        d = schema.decisions
        found: dict[str, dict[str, Any]] = {}
        with self.engine.connect() as connection:
            for part in parts(decision_ids):
                query = sa.select(d.c.decision_id, d.c.answer).where(d.c.decision_id.in_(part))
                found.update((key, answer) for key, answer in connection.execute(query))
        return found
