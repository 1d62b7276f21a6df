"""Reading and writing the ledger. Writing the same thing twice is the same as writing it once."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from propensity.contract import CONTROL, PRIVATE, PROBABILITY_PREFIX
from propensity.errors import InputError, JobError
from propensity.files import written_aside
from propensity.ledger import schema

IMPORTED = "import"
"""Source of the ``sent`` events of contacts that happened before the ledger did."""

_ROWS_PER_STATEMENT = 500  # SQLite allows 32,766 parameters in one statement
_IDS_PER_QUERY = 900


class Ledger:
    """The record of customers, decisions and outcomes, in SQLite or PostgreSQL.

    Parameters
    ----------
    url : str
        ``sqlite:///path`` or ``postgresql+psycopg://user@host/database``.

    Raises
    ------
    InputError
        The URL cannot be understood, or its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        try:
            # the values of a failed statement are customers' data: they stay out of its error
            self.engine = sa.create_engine(url, hide_parameters=True)
        except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError) as error:
            raise InputError(
                f"ledger {_without_password(url)}: is not a database address; expected sqlite:///FILE or "
                "postgresql+psycopg://USER@HOST/DATABASE"
            ) from error
        except ModuleNotFoundError as error:
            raise InputError(
                f"ledger {_without_password(url)}: needs {error.name}; install propensity[postgres]"
            ) from error
        if self.engine.dialect.name == "sqlite":
            sa.event.listen(self.engine, "connect", _prepare_sqlite)

    def create(self) -> Ledger:
        """Make the tables and columns that are not there yet."""
        try:
            schema.metadata.create_all(self.engine)
            with self.engine.begin() as connection:
                for column in self._lacking_columns():
                    kind = column.type.compile(self.engine.dialect)
                    connection.execute(sa.text(f"ALTER TABLE {column.table.name} ADD COLUMN {column.name} {kind}"))
        except sa.exc.DatabaseError as error:
            raise JobError(f"ledger {self.name}: cannot be opened ({_first_line(error)})") from error
        return self

    def open(self) -> Ledger:
        """Check that the tables are there.

        Raises
        ------
        InputError
            The database was never initialised.
        JobError
            The database does not answer.
        """
        if self.engine.dialect.name == "sqlite" and not Path(self.engine.url.database or "").exists():
            raise InputError(f"ledger {self.name}: does not exist; make it with: propensity ledger init {self.name}")
        try:
            found = set(sa.inspect(self.engine).get_table_names()) & set(schema.metadata.tables)
        except sa.exc.DatabaseError as error:
            raise JobError(f"ledger {self.name}: cannot be opened ({_first_line(error)})") from error
        if not found:
            raise InputError(f"ledger {self.name}: is not initialised; run: propensity ledger init {self.name}")
        if found != set(schema.metadata.tables) or self._lacking_columns():
            raise InputError(
                f"ledger {self.name}: was made by an older version; bring it up to date, which keeps what it holds: "
                f"propensity ledger init {self.name}"
            )
        return self

    def _lacking_columns(self) -> list[sa.Column[Any]]:
        """Columns that tables made by an older version lack; all that came later may be missing in a row."""
        inspector = sa.inspect(self.engine)
        return [
            column
            for table in schema.metadata.sorted_tables
            for column in table.columns
            if column.name not in {c["name"] for c in inspector.get_columns(table.name)}
        ]

    @property
    def name(self) -> str:
        """The URL without its password."""
        return self.engine.url.render_as_string(hide_password=True)

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()

    # ---------------------------------------------------------------------------------------------- writing

    def add_campaign(self, campaign: str, **values: Any) -> None:
        """Record a campaign; the columns are those of `schema.campaigns`."""
        self._insert_new(schema.campaigns, [{"campaign": campaign, **values}])

    def add_customers(self, customers: pd.DataFrame) -> None:
        """Record snapshots of customers (a checked contract table), without what is private (`contract.PRIVATE`)."""
        own = ("customer_id", "as_of", "churned_at")
        private = [name for name in PRIVATE if name in customers]
        attributes = customers.drop(columns=[*own, *private]).to_dict(orient="records")
        rows = [
            {"customer_id": key, "as_of": as_of, "churned_at": churned_at, "attributes": _clean(row)}
            for key, as_of, churned_at, row in zip(
                customers["customer_id"],
                _times(customers["as_of"]),
                _times(customers["churned_at"]),
                attributes,
                strict=True,
            )
        ]
        self._insert_new(schema.customers, self._without_erased(rows))

    def add_contacts(self, contacts: pd.DataFrame) -> None:
        """Record contacts of the past (a checked contract table): decisions that were carried out or held out."""
        wide = [c for c in contacts.columns if c.startswith(PROBABILITY_PREFIX)]
        rows = []
        for row in contacts.to_dict(orient="records"):
            chances = {c.removeprefix(PROBABILITY_PREFIX): row[c] for c in wide}
            rows.append(
                {
                    **{k: row[k] for k in ("decision_id", "customer_id", "campaign", "action")},
                    "decided_at": row["decided_at"].to_pydatetime(),
                    "probability": row["probability"],
                    "cost": row["cost"],
                    "assignment": "holdout" if row["action"] == CONTROL else "explore",
                    "probabilities": chances or None,
                    "answer": None,
                }
            )
        rows = self._without_erased(rows)
        sent = [
            {
                "source": IMPORTED,
                "event_id": f"sent:{row['decision_id']}",
                "customer_id": row["customer_id"],
                "decision_id": row["decision_id"],
                "at": row["decided_at"],
                "type": "sent",
                "amount": None,
            }
            for row in rows
            if row["action"] != CONTROL
        ]
        with self.engine.begin() as connection:
            self._insert(connection, schema.decisions, rows)
            self._insert(connection, schema.events, sent)

    def add_decisions(
        self, decisions: pd.DataFrame, decided_at: pd.Timestamp, probabilities: pd.DataFrame
    ) -> list[dict[str, Any]]:
        """Record decisions; what was decided before in the same window stays as it was.

        Parameters
        ----------
        decisions : DataFrame (n, 26)
        decided_at : Timestamp
        probabilities : DataFrame (n, actions with control)
            The chance of every action, which learning from these decisions needs.

        Returns
        -------
        list of dict
            The decisions that stand, all keys, in the order given. Nothing is recorded of the erased: theirs come
            back as they were given.
        """
        answers = decision_answers(decisions)
        rows = [
            {
                **{k: a[k] for k in ("decision_id", "customer_id", "campaign", "action", "assignment")},
                "decided_at": decided_at.to_pydatetime(),
                "probability": a["probability"],
                "cost": a["cost"],
                "probabilities": chances,
                "answer": a,
            }
            for a, chances in zip(answers, probabilities.to_dict(orient="records"), strict=True)
        ]
        rows = self._without_erased(rows)
        self._insert_new(schema.decisions, rows)
        stored = self._answers([row["decision_id"] for row in rows])
        return [stored.get(a["decision_id"], a) for a in answers]

    def add_outcomes(self, outcomes: pd.DataFrame) -> None:
        """Record events (a checked contract table); an event that is there already, by source and id, is skipped."""
        records = outcomes.to_dict(orient="records")
        rows = [
            {
                **{k: row[k] for k in ("source", "event_id", "customer_id", "type")},
                "decision_id": _none_if_missing(row.get("decision_id")),
                "at": row["at"].to_pydatetime(),
                "amount": _none_if_missing(row.get("amount")),
            }
            for row in records
        ]
        self._insert_new(schema.events, self._without_erased(rows))

    def add_assessment(self, campaign: str, model_version: str, content: dict[str, Any]) -> None:
        """Record what a model that learnt from a campaign was worth on its held-out people."""
        row = {
            "campaign": campaign,
            "model_version": model_version,
            "recorded_at": datetime.now(UTC),
            "content": content,
        }
        with self.engine.begin() as connection:
            connection.execute(schema.assessments.insert(), [row])

    def add_promotion(self, **values: Any) -> None:
        """Record a promotion that has been made; the columns are those of `promotion`."""
        with self.promotion(**values):
            pass

    @contextmanager
    def promotion(
        self,
        *,
        who: str,
        model: str,
        from_version: str | None,
        to_version: str,
        why: str,
        kind: str = "promotion",
        checks: list[dict[str, Any]] | None = None,
    ) -> Iterator[None]:
        """Record a promotion, a forced one or a rollback, if the block, which carries it out, succeeds."""
        row = {"who": who, "model": model, "from_version": from_version, "to_version": to_version, "why": why}
        with self.engine.begin() as connection:
            values = {**row, "at": datetime.now(UTC), "kind": kind, "checks": checks}
            connection.execute(schema.promotions.insert(), [values])
            yield

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
            tombstone = {"customer_hash": _customer_hash(customer_id), "erased_at": datetime.now(UTC)}
            self._insert(connection, schema.tombstones, [tombstone])
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

    # ---------------------------------------------------------------------------------------------- reading

    def campaign(self, campaign: str) -> dict[str, Any]:
        """One campaign.

        Raises
        ------
        InputError
            It is not in the ledger.
        """
        rows = self._rows(sa.select(schema.campaigns).where(schema.campaigns.c.campaign == campaign))
        if not rows:
            known = ", ".join(c["campaign"] for c in self.campaigns()) or "none"
            raise InputError(f"campaign {campaign}: is not in the ledger (known: {known})")
        return rows[0]

    def campaigns(self) -> list[dict[str, Any]]:
        """All campaigns, oldest first."""
        return self._rows(sa.select(schema.campaigns).order_by(schema.campaigns.c.started_at))

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
        table = self._table(query, times=["decided_at"])
        chances = table.pop("probabilities")
        if len(table) and chances.notna().any():
            wide = pd.DataFrame(chances.tolist(), index=table.index).add_prefix(PROBABILITY_PREFIX)
            table = pd.concat([table, wide], axis=1)
        return table

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
        table = self._table(query, times=["as_of", "churned_at"])
        attributes = pd.DataFrame(table.pop("attributes").tolist(), index=table.index)
        return pd.concat([table, attributes], axis=1)

    def decisions(self, campaign: str) -> pd.DataFrame:
        """The answers that were given in a campaign, one row a decision, in the decision's own columns."""
        d = schema.decisions
        query = sa.select(d.c.answer).where(d.c.campaign == campaign).order_by(d.c.decision_id)
        with self.engine.connect() as connection:
            answers = [row for (row,) in connection.execute(query) if row is not None]
        return pd.DataFrame(answers)

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

    def suppressed(self, customer_ids: Sequence[str]) -> set[str]:
        """Those of these customers who opted out, complained or were erased."""
        found = self._erased(customer_ids)
        e = schema.events
        with self.engine.connect() as connection:
            for part in _parts(list(customer_ids)):
                query = (
                    sa.select(e.c.customer_id)
                    .where(e.c.customer_id.in_(part), e.c.type.in_(schema.OPT_OUTS))
                    .distinct()
                )
                found |= set(connection.scalars(query))
        return found

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

    # ---------------------------------------------------------------------------------------------- inside

    def _insert_new(self, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        with self.engine.begin() as connection:
            self._insert(connection, table, rows)

    def _insert(self, connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        make = postgresql.insert if self.engine.dialect.name == "postgresql" else sqlite.insert
        statement = make(table).on_conflict_do_nothing()
        for start in range(0, len(rows), _ROWS_PER_STATEMENT):
            connection.execute(statement, rows[start : start + _ROWS_PER_STATEMENT])

    def _erased(self, customer_ids: Iterable[str]) -> set[str]:
        hashes = {_customer_hash(c): c for c in customer_ids}
        t = schema.tombstones
        found: set[str] = set()
        with self.engine.connect() as connection:
            for part in _parts(list(hashes)):
                query = sa.select(t.c.customer_hash).where(t.c.customer_hash.in_(part))
                found |= {hashes[h] for h in connection.scalars(query)}
        return found

    def _without_erased(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        erased = self._erased({row["customer_id"] for row in rows})
        return [row for row in rows if row["customer_id"] not in erased]

    def _answers(self, decision_ids: list[str]) -> dict[str, dict[str, Any]]:
        d = schema.decisions
        found: dict[str, dict[str, Any]] = {}
        with self.engine.connect() as connection:
            for part in _parts(decision_ids):
                query = sa.select(d.c.decision_id, d.c.answer).where(d.c.decision_id.in_(part))
                found.update((key, answer) for key, answer in connection.execute(query))
        return found

    def _rows(self, query: sa.Select[Any]) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def _table(self, query: sa.Select[Any], times: list[str]) -> pd.DataFrame:
        rows = self._rows(query)
        table = pd.DataFrame(rows, columns=[c.name for c in query.selected_columns])
        for name in times:
            table[name] = pd.to_datetime(table[name], utc=True).astype("datetime64[us, UTC]")
        return table


def decision_answers(decisions: pd.DataFrame) -> list[dict[str, Any]]:
    """Decisions as JSON-ready objects: ISO times in UTC, missing values as None."""
    return [_clean(row) for row in decisions.to_dict(orient="records")]


def _clean(row: dict[Any, Any]) -> dict[str, Any]:
    return {str(k): _json_value(v) for k, v in row.items()}


def _json_value(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_json_value(v) for v in value]
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, pd.Timestamp):
        return value.tz_convert("UTC").isoformat().replace("+00:00", "Z")
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def _none_if_missing(value: Any) -> Any:
    return None if value is None or pd.isna(value) else value


def _times(values: pd.Series) -> list[datetime]:
    return [t.to_pydatetime() for t in values]


def _parts(values: list[str]) -> Iterable[list[str]]:
    for start in range(0, len(values), _IDS_PER_QUERY):
        yield values[start : start + _IDS_PER_QUERY]


def _customer_hash(customer_id: str) -> str:
    return hashlib.blake2b(customer_id.encode(), digest_size=16, person=b"tombstone").hexdigest()


def _without_password(url: str) -> str:
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", url)


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", error)).strip().splitlines()[0]


def _prepare_sqlite(connection: Any, _: Any) -> None:
    """Readers beside a writer, commits that survive a power cut, and patience with a busy writer."""
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
