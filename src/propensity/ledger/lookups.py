"""What a single call looks up: one person's newest snapshot, and answers that can be given again as they were."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from propensity.ledger import schema
from propensity.ledger.database import Database, parts

MAY_WITHDRAW = (*schema.OPT_OUTS, "reactivated", "purchased")
"""Types of events after which a contact that was decided may have to be taken back."""


class Lookups(Database):
    """Reading what is known of few people, fast."""

    def newest_snapshot(self, customer_id: str, at: datetime) -> dict[str, Any] | None:
        """The newest snapshot of a person that is no younger than ``at``, as one flat object; None: there is none."""
        c = schema.customers.c
        query = (
            sa.select(c.customer_id, c.as_of, c.churned_at, c.attributes)
            .where(c.customer_id == customer_id, c.as_of <= at)
            .order_by(c.as_of.desc())
            .limit(1)
        )
        rows = self._rows(query)
        if not rows:
            return None
        row = rows[0]
        return {
            **row["attributes"],
            "customer_id": customer_id,
            "as_of": row["as_of"].isoformat(),
            "churned_at": row["churned_at"].isoformat(),
        }

    def repeats(self, decision_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The answers, by decision, of those of these decisions that stand and that nothing can have withdrawn.

        A contact may have to be taken back after any event of `MAY_WITHDRAW` on the person: whether it does must be
        decided anew, and so such a decision is not among them.
        """
        found: dict[str, dict[str, Any]] = {}
        for part in parts(decision_ids):
            rows = self.read(partial(_asked, part))
            found |= {
                decision_id: answer
                for decision_id, answer, happened in rows
                if answer is not None and not (answer["send"] and happened)
            }
        return found


def _asked(decision_ids: Sequence[str], connection: sa.Connection) -> Sequence[Any]:
    return connection.execute(_STANDS, {"ids": decision_ids}).all()


def _stands() -> sa.Select[Any]:
    """Answers, and whether anything of `MAY_WITHDRAW` happened to their people."""
    d, e = schema.decisions.c, schema.events.c
    happened = sa.exists().where(e.customer_id == d.customer_id, e.type.in_(MAY_WITHDRAW))
    return sa.select(d.decision_id, d.answer, happened).where(d.decision_id.in_(sa.bindparam("ids", expanding=True)))


_STANDS = _stands()  # made once: every request asks
