"""Forgetting a person."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

import sqlalchemy as sa

from propensity.ledger import schema
from propensity.ledger.database import Database, customer_hash


class Erasing(Database):
    """What is taken out of the ledger."""

    def erase(self, customer_id: str) -> bool:
        """Forget a person.

        Snapshots keep their times only; decisions and events keep their figures. All get a random pseudonym, and keys
        made of it (the old ones may hold the person's own), so that past experiments still add up. A tombstone (a
        hash) keeps the person from being contacted or recorded again.

        Returns
        -------
        bool
            Whether anything was held on them.
        """
        pseudonym = f"erased-{secrets.token_hex(8)}"
        c, d, e = schema.customers.c, schema.decisions.c, schema.events.c
        with self.engine.begin() as connection:
            tombstone = {"customer_hash": customer_hash(customer_id), "erased_at": datetime.now(UTC)}
            self.insert(connection, schema.tombstones, [tombstone])
            blank = {"customer_id": pseudonym, "attributes": {}}
            snapshots = connection.execute(
                sa.update(schema.customers).where(c.customer_id == customer_id).values(blank)
            )
            decisions = list(connection.scalars(sa.select(d.decision_id).where(d.customer_id == customer_id)))
            key_of = {old: f"{pseudonym}-{number}" for number, old in enumerate(decisions)}
            for old, key in key_of.items():
                renamed = {"decision_id": key, "customer_id": pseudonym, "answer": sa.null()}
                connection.execute(sa.update(schema.decisions).where(d.decision_id == old).values(renamed))
            mine = sa.select(e.source, e.event_id, e.decision_id).where(e.customer_id == customer_id)
            events = connection.execute(mine).all()
            for number, (source, old, decision_id) in enumerate(events):
                answers = key_of.get(decision_id)
                changed = {"event_id": f"{pseudonym}-{number}", "customer_id": pseudonym, "decision_id": answers}
                this = (e.source == source) & (e.event_id == old)
                connection.execute(sa.update(schema.events).where(this).values(changed))
        return bool(snapshots.rowcount or decisions or events)
