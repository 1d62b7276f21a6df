"""Running totals of what decisions outside waves take.

A sum over all of them since the last wave would take longer with every decision. So each is also counted, in the
transaction that records it, in the minute, the hour and the day in which it was made; what was taken since a time is
then the days, hours and minutes after it, and the decisions of the rest of its minute. Erasing changes no total: it
leaves a decision's figures.
"""

from __future__ import annotations

import secrets
import threading
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from propensity.contract import CONTROL
from propensity.ledger import schema

SPANS = tuple(timedelta(seconds=seconds) for seconds in (60, 3_600, 86_400))
"""Lengths for which totals are kept; each divides the next."""

_WRITERS = 2**31

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEY = ("campaign", "seconds", "starts_at", "action", "writer")


class _Writer(threading.local):
    """A number for each thread: those that add to the same row would wait for each other's commit."""

    def __init__(self) -> None:
        self.number = secrets.randbelow(_WRITERS)


_writer = _Writer()


def count(connection: sa.Connection, rows: Iterable[dict[str, Any]]) -> None:
    """Add decisions that have just been recorded (rows of `schema.decisions`, of no wave) to the totals."""
    sums: dict[tuple[Any, ...], list[float]] = defaultdict(lambda: [0.0, 0])
    for row in rows:
        if row["action"] == CONTROL:
            continue
        for span in SPANS:
            total = sums[row["campaign"], span // timedelta(seconds=1), _start(row["decided_at"], span), row["action"]]
            total[0] += row.get("spend") or 0.0
            total[1] += 1
    if not sums:
        return
    values = [
        {**dict(zip(_KEY, (*key, _writer.number), strict=True)), "spend": sums[key][0], "contacts": sums[key][1]}
        for key in sorted(sums)
    ]
    connection.execute(_adding(connection.dialect.name), values)


def since(connection: sa.Connection, campaign: str, at: datetime) -> dict[str, tuple[float, int]]:
    """Spend (currency) and number of the contacts that were decided alone from a time on, by action."""
    bounds = [at]
    for span in SPANS:
        bounds.append(_next_start(bounds[-1], span))
    values = {"campaign": campaign, **{f"from_{n}": bound for n, bound in enumerate(bounds)}}
    return {action: (float(spend), int(contacts)) for action, spend, contacts in connection.execute(_SINCE, values)}


def _sums() -> sa.Select[Any]:
    """Sums by action: of decisions between ``from_0`` and ``from_1``, then of minutes, hours and days."""
    t, d = schema.used_alone.c, schema.decisions.c
    campaign = sa.bindparam("campaign", type_=sa.Text)
    bounds = [sa.bindparam(f"from_{n}", type_=schema.UtcTime) for n in range(len(SPANS) + 1)]
    queries = [
        sa.select(d.action, sa.func.coalesce(d.spend, 0.0).label("spend"), sa.literal(1).label("contacts"))
        .where(d.campaign == campaign, d.wave_id.is_(None), d.action != CONTROL)
        .where(d.decided_at >= bounds[0], d.decided_at < bounds[1])
    ]
    for span, first, last in zip(SPANS, bounds[1:], (*bounds[2:], None), strict=True):
        mine = (t.campaign == campaign, t.seconds == span // timedelta(seconds=1), t.starts_at >= first)
        query = sa.select(t.action, t.spend, t.contacts).where(*mine)
        queries.append(query if last is None else query.where(t.starts_at < last))
    every = sa.union_all(*queries).subquery()
    total = sa.select(every.c.action, sa.func.sum(every.c.spend), sa.func.sum(every.c.contacts))
    return total.group_by(every.c.action)


_SINCE = _sums()  # made once: every request asks


def _start(at: datetime, span: timedelta) -> datetime:
    """When the span began in which a time lies; spans are counted in UTC."""
    return _EPOCH + (at - _EPOCH) // span * span


def _next_start(at: datetime, span: timedelta) -> datetime:
    """The first start of a span that is no earlier than a time."""
    return _EPOCH - (_EPOCH - at) // span * span


def _adding(dialect: str) -> postgresql.Insert | sqlite.Insert:
    table = schema.used_alone
    insert = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    added = {name: table.c[name] + insert.excluded[name] for name in ("spend", "contacts")}
    return insert.on_conflict_do_update(index_elements=list(_KEY), set_=added)
