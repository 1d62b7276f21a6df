"""Writing to the ledger. Writing the same thing twice is the same as writing it once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import sqlalchemy as sa

from propensity.contract import CONTROL, PROBABILITY_PREFIX
from propensity.ledger import schema, used_alone
from propensity.ledger.database import Database, parts, without_erased
from propensity.ledger.rows import decision_answers, decision_rows, none_if_missing, snapshot_rows
from propensity.people import Customers

IMPORTED = "import"
"""Source of the ``sent`` events of contacts that happened before the ledger did."""


@dataclass(frozen=True)
class _Asked:
    """Decisions that one caller wants recorded (rows of `schema.decisions`), and snapshots of the people, by id."""

    rows: list[dict[str, Any]]
    snapshots: dict[str, dict[str, Any]]


class Writing(Database):
    """What is added to the ledger."""

    def add_campaign(self, campaign: str, **values: Any) -> None:
        """Record a campaign; the columns are those of `schema.campaigns`. One that is there stays as it began."""
        row = {"campaign": campaign, **values}
        self.write(lambda connection: self.insert(connection, schema.campaigns, [row]), rows=1)
        self._recorded_campaigns.add(campaign)

    def has_recorded(self, campaign: str) -> bool:
        """Whether this object saw to it before that the campaign is in the ledger; the ledger is not asked."""
        return campaign in self._recorded_campaigns

    def add_customers(self, customers: pd.DataFrame) -> set[tuple[str, datetime]]:
        """Record snapshots of customers (a checked contract table); one that is there already stays as it is.

        Returns
        -------
        set of (customer_id, as_of)
            Those that were not there yet.
        """
        return self._add(schema.customers, snapshot_rows(customers))

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
        self.write(lambda connection: self._insert_contacts(connection, rows), rows=len(rows))

    def _insert_contacts(self, connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
        kept = without_erased(connection, rows)
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
            for row in kept
            if row["action"] != CONTROL
        ]
        self._insert_alone(connection, kept)
        self.insert(connection, schema.events, sent)

    def add_decisions(
        self,
        decisions: pd.DataFrame | Mapping[str, Any],
        decided_at: pd.Timestamp,
        probabilities: pd.DataFrame,
        *,
        spend: Sequence[float] | None = None,
        customers: Customers | None = None,
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
        customers : DataFrame (n, ...) or People, optional
            What the decisions were made from: a snapshot of each person on whom a decision is recorded.

        Returns
        -------
        list of dict
            The decisions that stand, all keys, in the order given. Nothing is recorded of the erased: theirs come
            back as they were given.
        """
        answers = decision_answers(decisions)
        stands = self.standing([answer["decision_id"] for answer in answers])
        rows = decision_rows(answers, decided_at, probabilities, spend)
        lacking = [row for row in rows if row["decision_id"] not in stands]
        if lacking:
            about = [] if customers is None else snapshot_rows(customers)
            asked = _Asked(lacking, {row["customer_id"]: row for row in about})
            stands |= self.write_item(self._record, asked, rows=len(lacking))
        return [stands.get(a["decision_id"], a) for a in answers]

    def _record(self, connection: sa.Connection, asked: Sequence[_Asked]) -> list[dict[str, dict[str, Any]]]:
        """Record what several callers decided; for each, the answers that stand, by decision."""
        first: dict[str, dict[str, Any]] = {}
        for each in asked:
            for row in each.rows:
                first.setdefault(row["decision_id"], row)
        # one order for all, so that no two transactions wait for each other's rows in a circle
        kept = without_erased(connection, [first[key] for key in sorted(first)])
        new = self._insert_alone(connection, kept)
        snapshots = [
            each.snapshots[row["customer_id"]]
            for each in asked
            for row in each.rows
            if row["decision_id"] in new and row is first[row["decision_id"]] and row["customer_id"] in each.snapshots
        ]
        self.insert(connection, schema.customers, snapshots)
        stand = {row["decision_id"]: row["answer"] for row in kept if row["decision_id"] in new}
        # somebody else may have decided at the same time
        stand |= _standing(connection, [row["decision_id"] for row in kept if row["decision_id"] not in new])
        return [{key: stand[key] for row in each.rows if (key := row["decision_id"]) in stand} for each in asked]

    def _insert_alone(self, connection: sa.Connection, rows: list[dict[str, Any]]) -> set[str]:
        """Insert decisions of no wave, and count them; the ids of those that were not there yet."""
        new = {decision_id for (decision_id,) in self._insert_counted(connection, schema.decisions, rows)}
        used_alone.count(connection, (row for row in rows if row["decision_id"] in new))
        return new

    def _add(self, table: sa.Table, rows: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
        """Insert the rows that are not there yet, and are not of the erased; the keys of those that were not."""
        return self.write(
            lambda connection: self._insert_counted(connection, table, without_erased(connection, rows)), rows=len(rows)
        )

    def _insert_counted(
        self, connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]
    ) -> set[tuple[Any, ...]]:
        """Insert rows; the primary keys of those that were not there yet."""
        if not rows:
            return set()
        keys = [column.name for column in table.primary_key]
        # two writers of the same rows wait for each other; if their orders differed, each would wait for the other
        ordered = sorted(rows, key=lambda row: tuple(row[name] for name in keys))
        statement = self._insert_statement(table).returning(*table.primary_key)
        return {tuple(key) for key in connection.execute(statement, ordered)}

    def add_outcomes(self, outcomes: pd.DataFrame) -> set[tuple[str, str]]:
        """Record events (a checked contract table); an event that is there already, by source and id, is skipped.

        Returns
        -------
        set of (source, event_id)
            Those that were not there yet. Nothing is recorded of the erased.
        """
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
        return self._add(schema.events, rows)

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
        return self.read(lambda connection: _standing(connection, decision_ids))


def _standing(connection: sa.Connection, decision_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for part in parts(decision_ids):
        found.update((key, answer) for key, answer in connection.execute(_ANSWERS, {"ids": part}))
    return found


_ANSWERS = sa.select(schema.decisions.c.decision_id, schema.decisions.c.answer).where(
    schema.decisions.c.decision_id.in_(sa.bindparam("ids", expanding=True))
)
