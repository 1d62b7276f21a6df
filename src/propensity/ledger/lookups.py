"""What a single call looks up: one person's newest snapshot, and answers that can be given again as they were."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
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
        d, e = schema.decisions.c, schema.events.c
        happened = sa.exists().where(e.customer_id == d.customer_id, e.type.in_(MAY_WITHDRAW))
        found: dict[str, dict[str, Any]] = {}
        for part in parts(decision_ids):
            query = sa.select(d.decision_id, d.answer, happened.label("happened")).where(d.decision_id.in_(part))
            found |= {
                row["decision_id"]: row["answer"]
                for row in self._rows(query)
                if row["answer"] is not None and not (row["answer"]["send"] and row["happened"])
            }
        return found
