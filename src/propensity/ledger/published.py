"""Summaries as they were published: kept whole, so that what was once said can be read again. Added, never changed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from propensity.errors import InputError
from propensity.ledger import schema
from propensity.ledger.store import Ledger


def publish_summary(
    ledger: Ledger,
    campaign: str,
    *,
    who: str,
    as_of: datetime,
    fingerprint: str,
    content: dict[str, Any],
    page: str,
) -> int:
    """Keep a summary as it is; the number under which it is found.

    Parameters
    ----------
    ledger : Ledger
    campaign : str
    who : str
    as_of : datetime
        Until when the ledger was read.
    fingerprint : str
        Of the data that the figures rest on.
    content : dict
        Every figure and the verdict.
    page : str
        HTML.

    Raises
    ------
    InputError
        Nobody's name is given, or the ledger does not know the campaign.
    """
    if not who.strip():
        raise InputError("who: expected the name of the person who publishes, found a blank")
    ledger.campaign(campaign)
    row = {"campaign": campaign, "at": datetime.now(UTC), "who": who.strip(), "as_of": as_of}
    row |= {"fingerprint": fingerprint, "content": content, "page": page}
    insert = schema.published_summaries.insert().values(row).returning(schema.published_summaries.c.id)
    with ledger.engine.begin() as connection:
        return int(connection.execute(insert).scalar_one())


def published_summaries(ledger: Ledger, campaign: str) -> list[dict[str, Any]]:
    """What was published of a campaign, oldest first, without page and figures.

    Returns
    -------
    list of dict
        ``id``, ``campaign``, ``at``, ``who``, ``as_of``, ``fingerprint``, and of the figures the verdict's ``headline``
        and ``people`` (whose window was over).
    """
    table = schema.published_summaries
    columns = [c for c in table.columns if c.name not in ("page", "content")]
    # figures are many: the database reads these two out of them
    headline = table.c.content["verdict"]["headline"].as_string().label("headline")
    people = table.c.content["people"].as_integer().label("people")
    query = sa.select(*columns, headline, people).where(table.c.campaign == campaign).order_by(table.c.id)
    return ledger.read(lambda connection: [dict(row) for row in connection.execute(query).mappings()])


def published_summary(ledger: Ledger, campaign: str, number: int | None = None) -> dict[str, Any]:
    """One published summary, by its number or the newest; the columns are those of `schema.published_summaries`.

    Raises
    ------
    InputError
        The ledger does not know the campaign, or nothing of this number was published of it.
    """
    ledger.campaign(campaign)
    table = schema.published_summaries
    query = sa.select(table).where(table.c.campaign == campaign).order_by(table.c.id.desc()).limit(1)
    if number is not None:
        query = query.where(table.c.id == number)
    found = ledger.read(lambda connection: connection.execute(query).mappings().first())
    if found is None:
        numbers = ", ".join(str(row["id"]) for row in published_summaries(ledger, campaign)) or "none"
        raise InputError(f"campaign {campaign}: no such published summary (published: {numbers})")
    return dict(found)
