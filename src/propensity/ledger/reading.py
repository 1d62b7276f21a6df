"""Reading the ledger."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sa

from propensity.contract import CONTROL, PROBABILITY_PREFIX
from propensity.errors import InputError
from propensity.files import written_aside
from propensity.ledger import schema
from propensity.ledger.database import Database, parts


class Reading(Database):
    """What the ledger holds."""

    def campaign(self, campaign: str) -> dict[str, Any]:
        """One campaign.

        Raises
        ------
        InputError
            It is not in the ledger.
        """
        rows = self._rows(sa.select(schema.campaigns).where(schema.campaigns.c.campaign == campaign))
        if not rows:
            known = ", ".join(c["campaign"] for c in self.campaigns()) or "none"
            raise InputError(f"campaign {campaign}: is not in the ledger (known: {known})")
        return rows[0]

    def campaigns(self) -> list[dict[str, Any]]:
        """All campaigns, oldest first."""
        return self._rows(sa.select(schema.campaigns).order_by(schema.campaigns.c.started_at))

    def following(self, campaign: str) -> list[dict[str, Any]]:
        """The campaigns that act on the results of this one, newest first."""
        table = schema.campaigns
        return self._rows(sa.select(table).where(table.c.follows == campaign).order_by(table.c.started_at.desc()))

    def contacts(self, campaign: str) -> pd.DataFrame:
        """The campaign's decisions that were carried out (a ``sent`` event) or held out, as a contract table.

        People who may not be contacted at all are neither.
        """
        d, e = schema.decisions, schema.events
        sent = sa.select(e.c.decision_id).where(e.c.type == "sent", e.c.decision_id.is_not(None))
        query = (
            sa.select(
                d.c.decision_id,
                d.c.customer_id,
                d.c.decided_at,
                d.c.campaign,
                d.c.action,
                d.c.probability,
                d.c.cost,
                d.c.probabilities,
            )
            .where(d.c.campaign == campaign)
            .where(d.c.assignment != "suppressed", sa.or_(d.c.action == CONTROL, d.c.decision_id.in_(sent)))
            .order_by(d.c.decision_id)
        )
        table = self._table(query, times=["decided_at"])
        chances = table.pop("probabilities")
        if len(table) and chances.notna().any():
            wide = pd.DataFrame(chances.tolist(), index=table.index).add_prefix(PROBABILITY_PREFIX)
            table = pd.concat([table, wide], axis=1)
        return table

    def outcomes(self, campaign: str) -> pd.DataFrame:
        """Events of the campaign's customers, as a contract table."""
        d, e = schema.decisions, schema.events
        people = sa.select(d.c.customer_id).where(d.c.campaign == campaign)
        query = sa.select(e).where(e.c.customer_id.in_(people)).order_by(e.c.source, e.c.event_id)
        return self._table(query, times=["at"])

    def customers(self, campaign: str) -> pd.DataFrame:
        """Snapshots of the campaign's customers, as a contract table."""
        d, c = schema.decisions, schema.customers
        people = sa.select(d.c.customer_id).where(d.c.campaign == campaign)
        query = sa.select(c).where(c.c.customer_id.in_(people)).order_by(c.c.customer_id, c.c.as_of)
        table = self._table(query, times=["as_of", "churned_at"])
        attributes = pd.DataFrame(table.pop("attributes").tolist(), index=table.index)
        return pd.concat([table, attributes], axis=1)

    def decisions(self, campaign: str) -> pd.DataFrame:
        """The answers that were given in a campaign, one row a decision, in the decision's own columns."""
        d = schema.decisions
        query = sa.select(d.c.answer).where(d.c.campaign == campaign).order_by(d.c.decision_id)
        with self.engine.connect() as connection:
            answers = [row for (row,) in connection.execute(query) if row is not None]
        return pd.DataFrame(answers)

    def assessment(self, campaign: str) -> dict[str, Any] | None:
        """The newest assessment of a model that learnt from this campaign: its row, or None."""
        table = schema.assessments
        rows = self._rows(sa.select(table).where(table.c.campaign == campaign).order_by(table.c.id.desc()).limit(1))
        return rows[0] if rows else None

    def promotions(self, model: str | None = None) -> list[dict[str, Any]]:
        """Promotions and rollbacks (of one model), oldest first."""
        table = schema.promotions
        query = sa.select(table).order_by(table.c.id)
        return self._rows(query if model is None else query.where(table.c.model == model))

    def suppressed(self, customer_ids: Sequence[str]) -> set[str]:
        """Those of these customers who opted out, complained or were erased."""
        found = self._erased(customer_ids)
        e = schema.events
        with self.engine.connect() as connection:
            for part in parts(list(customer_ids)):
                query = (
                    sa.select(e.c.customer_id)
                    .where(e.c.customer_id.in_(part), e.c.type.in_(schema.OPT_OUTS))
                    .distinct()
                )
                found |= set(connection.scalars(query))
        return found

    def export(self, directory: str | Path) -> None:
        """Write every table as a Parquet file into a directory, whole or not at all."""
        with written_aside(directory) as aside:
            aside.mkdir()
            for name, table in schema.metadata.tables.items():
                rows = self._rows(sa.select(table))
                frame = pd.DataFrame(rows, columns=[c.name for c in table.columns])
                for column in table.columns:
                    if isinstance(column.type, sa.JSON):
                        frame[column.name] = [None if v is None else json.dumps(v) for v in frame[column.name]]
                frame.to_parquet(aside / f"{name}.parquet")
