"""Who comes up for a decision in a monthly round: read from the ledger in one query, part by part."""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import pandas as pd
import sqlalchemy as sa

from propensity.ledger import schema
from propensity.ledger.database import Database
from propensity.ledger.reading import with_attributes

RETURNS = ("reactivated", "purchased")
PEOPLE_TOGETHER = 20_000


def people_due(
    ledger: Database,
    *,
    at: pd.Timestamp,
    campaign: str,
    decided_between: tuple[pd.Timestamp, pd.Timestamp],
    cooling_off_days: float,
    horizon_days: float,
    window_days: float,
    seen_within_days: float,
) -> Generator[pd.DataFrame, None, None]:
    """Newest snapshots of the people who come up at a time, as contract tables of many each.

    Parameters
    ----------
    ledger : Database
    at : Timestamp
        What the ledger says of later times does not count, but for decisions.
    campaign : str
        Of the round.
    decided_between : (Timestamp, Timestamp)
        Who has a decision of the campaign from the first and before the second comes up in any case: it stands, and
        the same round run again is about the same people.
    cooling_off_days, horizon_days : float
        People count who left between so many days ago.
    window_days : float
        Attribution window. Whoever has another decision whose window is still open does not come up: what happens next
        could not be told apart. Suppressions are no such decisions; those of the very moment and of later are.
    seen_within_days : float
        Whose newest snapshot is older does not come up: what is known of them may be true no longer.

    Notes
    -----
    Who has come back since they left does not come up either, nor do the erased. Consent, touches and limits are for
    the decision itself to look at.
    """
    c, d, e = schema.customers.c, schema.decisions.c, schema.events.c
    moment = at.to_pydatetime()
    newest = (
        sa.select(c.customer_id, sa.func.max(c.as_of).label("as_of"))
        .where(c.as_of <= moment)
        .group_by(c.customer_id)
        .subquery()
    )
    first, end = (bound.to_pydatetime() for bound in decided_between)
    stands = sa.exists().where(
        d.customer_id == c.customer_id, d.campaign == campaign, d.decided_at >= first, d.decided_at < end
    )
    waiting = sa.exists().where(
        d.customer_id == c.customer_id,
        d.assignment != "suppressed",
        d.decided_at > moment - timedelta(days=window_days),
    )
    returned = sa.exists().where(
        e.customer_id == c.customer_id, e.type.in_(RETURNS), e.at > c.churned_at, e.at <= moment
    )
    query = (
        sa.select(schema.customers)
        .join(newest, (c.customer_id == newest.c.customer_id) & (c.as_of == newest.c.as_of))
        .where(
            stands
            | sa.and_(
                c.as_of >= moment - timedelta(days=seen_within_days),
                c.churned_at <= moment - timedelta(days=cooling_off_days),
                c.churned_at >= moment - timedelta(days=horizon_days),
                ~waiting,
                ~returned,
            )
        )
        .order_by(c.customer_id)
    )
    yield from _parts(ledger, query)


def _parts(ledger: Database, query: sa.Select[Any]) -> Generator[pd.DataFrame, None, None]:
    """The rows of a query on snapshots, many at a time, all of the same moment."""
    with ledger.reading() as connection:
        rows = connection.execution_options(yield_per=PEOPLE_TOGETHER).execute(query)
        for part in rows.mappings().partitions():
            table = pd.DataFrame(part)
            for name in ("as_of", "churned_at"):
                table[name] = pd.to_datetime(table[name], utc=True).astype("datetime64[us, UTC]")
            # of the erased only times are left
            table = with_attributes(table[table["attributes"].astype(bool)].reset_index(drop=True))
            if len(table):
                yield table
