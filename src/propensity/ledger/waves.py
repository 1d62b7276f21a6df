"""A wave on its way into the ledger: all of it or nothing, in constant memory.

Decisions are kept in a file while the wave is decided, and recorded in one short transaction in the end, so that a
service beside it can go on writing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from propensity.errors import JobError
from propensity.ledger import schema
from propensity.ledger.availability import LedgerUnavailable, first_line
from propensity.ledger.database import JsonText, without_erased
from propensity.ledger.rows import decision_answers, decision_rows, snapshot_rows
from propensity.ledger.store import Ledger
from propensity.people import Customers

BATCH = 5_000
"""Rows that are in memory while they are recorded."""

_DECISION = pa.schema(
    [
        *((name, pa.string()) for name in ("decision_id", "customer_id", "campaign", "action", "assignment")),
        *((name, pa.string()) for name in ("would_have_sent", "probabilities", "answer")),
        *((name, pa.float64()) for name in ("probability", "cost", "spend")),
    ]
)
_SNAPSHOT = pa.schema(
    [
        *((f"snapshot_{name}", pa.timestamp("us", "UTC")) for name in ("as_of", "churned_at")),
        ("snapshot_attributes", pa.string()),
    ]
)
_STAGED = pa.schema([*_DECISION, *_SNAPSHOT])


class StagedWave:
    """Decisions of a wave that nobody may act on yet; a context, in which they are added.

    Parameters
    ----------
    ledger : Ledger
    file : Path
        Where they are kept; it holds customers' data, so remove it in the end.
    decided_at : Timestamp
    """

    def __init__(self, ledger: Ledger, file: Path, decided_at: pd.Timestamp) -> None:
        self.ledger = ledger
        self.file = file
        self.decided_at = decided_at
        self.people = 0
        self._writer = pq.ParquetWriter(file, _STAGED)

    def __enter__(self) -> StagedWave:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def add(
        self, decisions: pd.DataFrame, probabilities: pd.DataFrame, spend: Sequence[float], customers: Customers
    ) -> None:
        """Keep a batch; the arguments are those of `Ledger.add_decisions`, all (n, ...) in one order."""
        answers = decision_answers(decisions)
        rows = decision_rows(answers, self.decided_at, probabilities, spend)
        erased = self.ledger.erased([row["customer_id"] for row in rows])
        staged = [
            {
                **{name: row[name] for name in _DECISION.names},
                "probabilities": json.dumps(row["probabilities"]),
                "answer": json.dumps(row["answer"]),
                "snapshot_as_of": snapshot["as_of"],
                "snapshot_churned_at": snapshot["churned_at"],
                "snapshot_attributes": json.dumps(snapshot["attributes"]),
            }
            for row, snapshot in zip(rows, snapshot_rows(customers), strict=True)
            if row["customer_id"] not in erased
        ]
        self.people += len(staged)
        if staged:
            self._writer.write_table(pa.Table.from_pylist(staged, schema=_STAGED))

    def record(self, about: dict[str, Any], **values: Any) -> None:
        """Record the wave and all its decisions in one transaction, after the last were added.

        The columns are those of `schema.waves`; ``about`` has those of `schema.campaigns`, for a campaign that the
        ledger does not know yet.

        Raises
        ------
        JobError
            Somebody was decided on or erased since; nothing is recorded then.
        """
        row = {**values, "decided_at": self.decided_at.to_pydatetime(), "recorded_at": datetime.now(UTC)}
        try:
            with self.ledger.engine.begin() as connection:
                self.ledger.insert(connection, schema.campaigns, [{"campaign": values["campaign"], **about}])
                wave_id = connection.scalar(schema.waves.insert().values(row).returning(schema.waves.c.id))
                with pq.ParquetFile(self.file) as staged:
                    for batch in staged.iter_batches(BATCH):
                        self._record_batch(connection, batch.to_pylist(), wave_id)
                d = schema.decisions.c
                mine = (d.campaign == values["campaign"], d.wave_id == wave_id)
                recorded = connection.scalar(sa.select(sa.func.count()).where(*mine)) or 0
                self._require_all(recorded)
        except sa.exc.DatabaseError as error:
            raise LedgerUnavailable(
                f"ledger {self.ledger.name}: the wave could not be recorded ({first_line(error)}); run it again"
            ) from error

    def _record_batch(self, connection: sa.Connection, rows: list[dict[str, Any]], wave_id: int | None) -> None:
        decided_at = self.decided_at.to_pydatetime()
        kept = without_erased(connection, rows)
        decisions = [
            {
                **{name: row[name] for name in _DECISION.names},
                "probabilities": JsonText(row["probabilities"]),
                "answer": JsonText(row["answer"]),
                "decided_at": decided_at,
                "wave_id": wave_id,
            }
            for row in kept
        ]
        snapshots = [
            {
                "customer_id": row["customer_id"],
                "as_of": row["snapshot_as_of"],
                "churned_at": row["snapshot_churned_at"],
                "attributes": JsonText(row["snapshot_attributes"]),
            }
            for row in kept
        ]
        self.ledger.insert(connection, schema.decisions, decisions)
        self.ledger.insert(connection, schema.customers, snapshots)

    def _require_all(self, recorded: int) -> None:
        if recorded != self.people:
            raise JobError(
                f"ledger {self.ledger.name}: {self.people - recorded:,} of {self.people:,} people were decided on or "
                "erased while the wave was decided; nothing is recorded, run it again"
            )
