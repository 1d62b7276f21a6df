"""Reading what the ledger holds of a time, over all campaigns or one."""

from __future__ import annotations

from typing import Any

import pandas as pd
import sqlalchemy as sa

from propensity.ledger import schema
from propensity.ledger.database import Database
from propensity.ledger.reading import with_attributes, with_chances

_TIMES = ["decided_at", "first_decided_at"]
_TOLD_TIMES = ["not_before", "contact_at"]
_TOLD = ["model_version", "playbook_version", "reason_codes", *_TOLD_TIMES]
"""What only the answer holds."""


class Periods(Database):
    """Decisions of a time, the people they are about, and what happened to these."""

    def taken(self, since: pd.Timestamp, until: pd.Timestamp, campaign: str | None = None) -> pd.DataFrame:
        """Decisions that were taken from one time until before another, of one campaign or all.

        Returns
        -------
        DataFrame (n, columns)
            ``decision_id``, ``customer_id``, ``campaign``, ``decided_at``, ``action``, ``assignment``,
            ``would_have_sent``, ``model_version``, ``playbook_version``, ``reason_codes`` (JSON), ``not_before`` and
            ``contact_at`` (these five are missing where contacts of the past were imported), ``first_decided_at`` of
            the customer in any campaign, and where they were recorded the chances of all actions, one column
            ``probability_<action>`` each. Sorted by ``decision_id``.
        """
        d = schema.decisions.c
        inside = _inside(since, until, campaign)
        about = sa.select(d.customer_id).where(*inside)
        first = (
            sa.select(d.customer_id, sa.func.min(d.decided_at).label("first_decided_at"))
            .where(d.customer_id.in_(about))
            .group_by(d.customer_id)
            .subquery()
        )
        told = [d.answer[name].as_string().label(name) for name in _TOLD]
        query = (
            sa.select(d.decision_id, d.customer_id, d.campaign, d.decided_at, d.action, d.assignment, d.would_have_sent)
            .add_columns(*told, first.c.first_decided_at, d.probabilities)
            .join(first, d.customer_id == first.c.customer_id)
            .where(*inside)
            .order_by(d.decision_id)
        )
        table = self._table(query, times=[*_TIMES, *_TOLD_TIMES])
        return with_chances(table)

    def people_of(self, since: pd.Timestamp, until: pd.Timestamp, campaign: str | None = None) -> pd.DataFrame:
        """Snapshots of the people on whom was decided in that time, as a contract table; without the erased."""
        about = sa.select(schema.decisions.c.customer_id).where(*_inside(since, until, campaign))
        c = schema.customers
        query = sa.select(c).where(c.c.customer_id.in_(about)).order_by(c.c.customer_id, c.c.as_of)
        table = self._table(query, times=["as_of", "churned_at"])
        # of the erased only times are left
        return with_attributes(table[table["attributes"].astype(bool)].reset_index(drop=True))

    def events_of(self, since: pd.Timestamp, until: pd.Timestamp, campaign: str | None = None) -> pd.DataFrame:
        """Events until before ``until`` of the people on whom was decided in that time, as a contract table."""
        about = sa.select(schema.decisions.c.customer_id).where(*_inside(since, until, campaign))
        e = schema.events
        query = sa.select(e).where(
            e.c.customer_id.in_(about), e.c.at >= since.to_pydatetime(), e.c.at < until.to_pydatetime()
        )
        return self._table(query.order_by(e.c.source, e.c.event_id), times=["at"])

    def playbooks(self) -> list[dict[str, Any]]:
        """The content of every playbook that was approved or that a campaign began with."""
        approved = self._rows(sa.select(schema.playbook_approvals.c.content.label("content")))
        begun = self._rows(sa.select(schema.campaigns.c.playbook.label("content")))
        return [row["content"] for row in (*approved, *begun) if row["content"]]


def _inside(since: pd.Timestamp, until: pd.Timestamp, campaign: str | None) -> list[sa.ColumnElement[bool]]:
    d = schema.decisions.c
    inside = [d.decided_at >= since.to_pydatetime(), d.decided_at < until.to_pydatetime()]
    return inside if campaign is None else [*inside, d.campaign == campaign]
