"""Reading the ledger."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import sqlalchemy as sa

from propensity.contract import CONTROL, PROBABILITY_PREFIX, SHOW_THAT_IT_WAS_SENT, close_name
from propensity.errors import InputError
from propensity.files import written_aside
from propensity.ledger import schema, used_alone
from propensity.ledger.database import Database, erased, parts

_NAMED = 20
"""Campaigns that an error names: the newest."""


class CampaignCount(NamedTuple):
    """Decisions of a campaign, apart from those that contact was not allowed in, and when the last one was made."""

    to_contact: int
    held_out: int
    last: datetime


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
            known = [c["campaign"] for c in self.campaigns()]
            near = close_name(campaign, known)
            hint = f"did you mean {near!r}? " if near else ""
            shown = ", ".join(known[-_NAMED:]) or "none"
            raise InputError(f"campaign {campaign}: is not in the ledger ({hint}known: {shown})")
        return rows[0]

    def campaigns(self) -> list[dict[str, Any]]:
        """All campaigns, oldest first."""
        return self._rows(sa.select(schema.campaigns).order_by(schema.campaigns.c.started_at))

    def counted_campaigns(self) -> dict[str, CampaignCount]:
        """What was decided in each campaign that has decisions, by campaign.

        Notes
        -----
        One pass over all decisions: about 1.6 seconds for each million of them in SQLite (2 cores). An index that holds
        all that is counted halves this, but would be chosen for reading whole campaigns too, which it slows down.
        """
        d = schema.decisions.c
        allowed = d.assignment != "suppressed"
        query = sa.select(
            d.campaign,
            sa.func.sum(sa.case((sa.and_(allowed, d.action != CONTROL), 1), else_=0)).label("to_contact"),
            sa.func.sum(sa.case((sa.and_(allowed, d.action == CONTROL), 1), else_=0)).label("held_out"),
            sa.func.max(d.decided_at).label("last"),
        ).group_by(d.campaign)
        rows = self._rows(query)
        return {r["campaign"]: CampaignCount(int(r["to_contact"]), int(r["held_out"]), r["last"]) for r in rows}

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
        return with_chances(self._table(query, times=["decided_at"]))

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
        return with_attributes(self._table(query, times=["as_of", "churned_at"]))

    def decisions(self, campaign: str) -> pd.DataFrame:
        """The answers that were given in a campaign, one row a decision, in the decision's own columns."""
        d = schema.decisions
        query = sa.select(d.c.answer).where(d.c.campaign == campaign).order_by(d.c.decision_id)
        return pd.DataFrame([row["answer"] for row in self._rows(query) if row["answer"] is not None])

    def assignments(self, campaign: str) -> pd.DataFrame:
        """What was drawn for whom in a campaign, one row a decision, also of the erased.

        Returns
        -------
        DataFrame (n, columns)
            ``decision_id``, ``customer_id``, ``decided_at``, ``wave_id`` (missing: decided alone), ``action``,
            ``assignment``, ``would_have_sent`` (also of who is held out), ``probability`` of the action, ``cost``,
            ``spend``, and where they were recorded the chances of all actions, one column ``probability_<action>``
            each.
        """
        d = schema.decisions.c
        # ledgers of older versions have it in the answer alone
        would = sa.func.coalesce(d.would_have_sent, d.answer["would_have_sent"].as_string()).label("would_have_sent")
        query = (
            sa.select(d.decision_id, d.customer_id, d.decided_at, d.wave_id, d.action, d.assignment, would)
            .add_columns(d.probability, d.cost, d.spend, d.probabilities)
            .where(d.campaign == campaign)
            .order_by(d.decision_id)
        )
        return with_chances(self._table(query, times=["decided_at"]))

    def history(self, customer_ids: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
        """What was decided to send to people, in any campaign, and what is known to have happened to them.

        Returns
        -------
        contacts : DataFrame (m, 6)
            ``decision_id``, ``customer_id``, ``decided_at``, ``campaign``, ``action`` and ``sent``, whether an event
            shows that it was sent. Reports may be late or never come, so all that was decided to send counts here.
        outcomes : DataFrame (k, columns)
            A contract table.
        """

        def ask(connection: sa.Connection) -> tuple[list[Any], list[Any]]:
            contacts: list[Any] = []
            outcomes: list[Any] = []
            for part in parts(customer_ids):
                contacts += connection.execute(_CHOSEN, {"people": part}).all()
                outcomes += connection.execute(_HAPPENED, {"people": part}).all()
            return contacts, outcomes

        contacts, outcomes = self.read(ask)
        sent = _table_of(contacts, _CHOSEN)
        events = _table_of(outcomes, _HAPPENED)
        if not contacts:
            return sent.assign(sent=False), events
        shown = events.loc[events["type"].isin(SHOW_THAT_IT_WAS_SENT), "decision_id"].dropna()
        sent["sent"] = sent["decision_id"].isin(shown)
        return sent, events

    def waves(self, campaign: str | None = None) -> list[dict[str, Any]]:
        """Waves that were recorded (of one campaign), oldest first; the columns are those of `schema.waves`."""
        table = schema.waves
        query = sa.select(table).order_by(table.c.decided_at, table.c.id)
        return self._rows(query if campaign is None else query.where(table.c.campaign == campaign))

    def latest_wave(self, campaign: str, playbook_version: str, at: datetime) -> dict[str, Any] | None:
        """The last wave of a campaign by a playbook, decided no later than ``at``: its row, or None."""
        asked = {"campaign": campaign, "playbook_version": playbook_version, "at": at}
        found = self.read(lambda connection: connection.execute(_LATEST_WAVE, asked).mappings().first())
        return None if found is None else dict(found)

    def used_alone(self, campaign: str, since: datetime, lately: datetime) -> pd.DataFrame:
        """What decisions outside waves took since a time, and of them, lately.

        Returns
        -------
        DataFrame (actions, 2)
            By action: ``spend``, currency, of all since ``since``; ``contacts``, how many were decided since
            ``lately``, which is no earlier.
        """
        of_all = self.read(lambda connection: used_alone.since(connection, campaign, since))
        late = of_all if lately == since else self.read(lambda c: used_alone.since(c, campaign, lately))
        rows = [(action, spend, late.get(action, (0.0, 0))[1]) for action, (spend, _) in of_all.items()]
        return pd.DataFrame(rows, columns=["action", "spend", "contacts"]).set_index("action")

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

    def owners(self, decision_ids: Sequence[str]) -> dict[str, str]:
        """Whom decisions were about, by decision, of those that are in the ledger."""
        d = schema.decisions.c
        found: dict[str, str] = {}
        for part in parts(decision_ids):
            query = sa.select(d.decision_id, d.customer_id).where(d.decision_id.in_(part))
            found |= {row["decision_id"]: row["customer_id"] for row in self._rows(query)}
        return found

    def newest_snapshots(self, customer_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The newest snapshot of each of these customers who has one; the keys are those of `schema.customers`."""
        c = schema.customers.c
        found: dict[str, dict[str, Any]] = {}
        for part in parts(customer_ids):
            times = sa.select(c.customer_id, sa.func.max(c.as_of).label("as_of")).where(c.customer_id.in_(part))
            newest = times.group_by(c.customer_id).subquery()
            is_newest = (c.customer_id == newest.c.customer_id) & (c.as_of == newest.c.as_of)
            query = sa.select(schema.customers).join(newest, is_newest)
            found |= {row["customer_id"]: row for row in self._rows(query)}
        return found

    def erased(self, customer_ids: Sequence[str]) -> set[str]:
        """Those of these customers who were erased."""
        return self.read(lambda connection: erased(connection, customer_ids))

    def suppressed(self, customer_ids: Sequence[str]) -> set[str]:
        """Those of these customers who opted out, complained or were erased."""
        e = schema.events.c

        def ask(connection: sa.Connection) -> set[str]:
            found = erased(connection, customer_ids)
            for part in parts(list(customer_ids)):
                opted_out = sa.select(e.customer_id).where(e.customer_id.in_(part), e.type.in_(schema.OPT_OUTS))
                found |= set(connection.scalars(opted_out.distinct()))
            return found

        return self.read(ask)

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


def with_chances(table: pd.DataFrame) -> pd.DataFrame:
    """A table whose column ``probabilities`` is replaced by one column an action."""
    chances = table.pop("probabilities")
    if not len(table) or not chances.notna().any():
        return table
    rows = [row or {} for row in chances]
    return pd.concat([table, pd.DataFrame(rows, index=table.index).add_prefix(PROBABILITY_PREFIX)], axis=1)


def with_attributes(table: pd.DataFrame) -> pd.DataFrame:
    """Snapshots whose column ``attributes`` is replaced by one column each."""
    attributes = pd.DataFrame(table.pop("attributes").tolist(), index=table.index)
    return pd.concat([table, attributes], axis=1)


# statements of every request, made once
_d, _e, _w = schema.decisions.c, schema.events.c, schema.waves.c
_PEOPLE: sa.BindParameter[Any] = sa.bindparam("people", expanding=True)
_CHOSEN = sa.select(_d.decision_id, _d.customer_id, _d.decided_at, _d.campaign, _d.action).where(
    _d.customer_id.in_(_PEOPLE), _d.action != CONTROL
)
_HAPPENED = sa.select(_e.event_id, _e.source, _e.customer_id, _e.decision_id, _e.at, _e.type, _e.amount).where(
    _e.customer_id.in_(_PEOPLE)
)
_LATEST_WAVE = (
    sa.select(schema.waves)
    .where(_w.campaign == sa.bindparam("campaign"), _w.playbook_version == sa.bindparam("playbook_version"))
    .where(_w.decided_at <= sa.bindparam("at"))
    .order_by(_w.decided_at.desc(), _w.id.desc())
    .limit(1)
)


def _table_of(rows: list[Any], query: sa.Select[Any]) -> pd.DataFrame:
    """A query's rows as a table whose kinds do not depend on them, made column by column: every request makes two."""
    if not rows:
        return _empty(query).copy()
    columns = zip(query.selected_columns, zip(*rows, strict=True), strict=True)
    return pd.DataFrame({column.name: _column(list(values), column.type) for column, values in columns})


@cache
def _empty(query: sa.Select[Any]) -> pd.DataFrame:
    return pd.DataFrame({column.name: _column([], column.type) for column in query.selected_columns})


def _column(values: list[Any], kind: sa.types.TypeEngine[Any]) -> Any:
    if isinstance(kind, schema.UtcTime):
        return pd.DatetimeIndex(values, dtype="datetime64[us, UTC]")
    return pd.array(values, dtype="str") if isinstance(kind, sa.Text) else np.array(values, dtype=float)
