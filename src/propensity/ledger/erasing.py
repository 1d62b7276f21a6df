"""A person's rights: to see all that is held on them, and to be forgotten."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from propensity.ledger import schema
from propensity.ledger.database import Database, customer_hash
from propensity.ledger.rows import clean

OF_A_PERSON = (schema.customers, schema.decisions, schema.events)
"""The tables that name people; a table that comes to do so must be shown and forgotten here too."""


class Erasing(Database):
    """What is held on one person, and how it is taken out of the ledger."""

    def held_on(self, customer_id: str) -> dict[str, Any]:
        """Everything that is held on a person, as JSON-ready values (times in ISO 8601, UTC).

        Returns
        -------
        dict
            ``customer_id``; ``suppressed``, whether they are never contacted again, and by which events and when
            (``suppressed_by``: rows of ``type``, ``source``, ``at``); ``erased_at``, or None; ``snapshots``,
            ``decisions`` (each with the ``answer`` that was given) and ``events``: rows of the tables
            `schema.customers`, `schema.decisions` and `schema.events`, oldest first. Of the erased nothing but the
            tombstone is held.
        """
        c, d, e = schema.customers.c, schema.decisions.c, schema.events.c
        t = schema.tombstones.c

        def ask(connection: sa.Connection) -> dict[str, Any]:
            def rows(table: sa.Table, *order: sa.Column[Any]) -> list[dict[str, Any]]:
                query = sa.select(table).where(table.c.customer_id == customer_id).order_by(*order)
                return [clean(dict(row)) for row in connection.execute(query).mappings()]

            return {
                "snapshots": rows(schema.customers, c.as_of),
                "decisions": rows(schema.decisions, d.decided_at, d.decision_id),
                "events": rows(schema.events, e.at, e.source, e.event_id),
                "erased_at": connection.scalar(
                    sa.select(t.erased_at).where(t.customer_hash == customer_hash(customer_id))
                ),
            }

        held = self.read(ask)
        by = [
            {k: event[k] for k in ("type", "source", "at")}
            for event in held["events"]
            if event["type"] in schema.OPT_OUTS
        ]
        return clean(
            {
                "customer_id": customer_id,
                "suppressed": bool(by) or held["erased_at"] is not None,
                "suppressed_by": by,
                **held,
            }
        )

    def erase(self, customer_id: str) -> bool:
        """Forget a person.

        Snapshots keep their times only; decisions and events keep their figures. All get a random pseudonym, and keys
        made of it (the old ones may hold the person's own), so that past experiments still add up. A tombstone (a
        hash) keeps the person from being contacted or recorded again.

        Returns
        -------
        bool
            Whether anything was held on them.

        Raises
        ------
        LedgerUnavailable
            The database cannot take it now; nothing is changed.
        """
        return self.transact(lambda connection: self._erase(connection, customer_id))

    def _erase(self, connection: sa.Connection, customer_id: str) -> bool:
        pseudonym = f"erased-{secrets.token_hex(8)}"
        c, d, e = schema.customers.c, schema.decisions.c, schema.events.c
        tombstone = {"customer_hash": customer_hash(customer_id), "erased_at": datetime.now(UTC)}
        self.insert(connection, schema.tombstones, [tombstone])
        blank = {"customer_id": pseudonym, "attributes": {}}
        snapshots = connection.execute(sa.update(schema.customers).where(c.customer_id == customer_id).values(blank))
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
