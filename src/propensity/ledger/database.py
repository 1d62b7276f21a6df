"""The database under the ledger: its address, its tables, and how rows come and go."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from propensity.errors import InputError, JobError
from propensity.ledger import schema

_ROWS_PER_STATEMENT = 500  # SQLite allows 32,766 parameters in one statement
_IDS_PER_QUERY = 900


class Database:
    """A database with the ledger's tables; see `Ledger`."""

    def __init__(self, url: str) -> None:
        try:
            # the values of a failed statement are customers' data: they stay out of its error
            self.engine = sa.create_engine(url, hide_parameters=True, json_serializer=_as_json)
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

    def create(self) -> Self:
        """Make the tables, columns and indexes that are not there yet."""
        try:
            schema.metadata.create_all(self.engine)
            with self.engine.begin() as connection:
                for column in self._lacking_columns():
                    kind = column.type.compile(self.engine.dialect)
                    connection.execute(sa.text(f"ALTER TABLE {column.table.name} ADD COLUMN {column.name} {kind}"))
                for table in schema.metadata.sorted_tables:
                    for index in table.indexes:
                        index.create(connection, checkfirst=True)
        except sa.exc.DatabaseError as error:
            raise JobError(f"ledger {self.name}: cannot be opened ({_first_line(error)})") from error
        return self

    def open(self) -> Self:
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

    def _insert_new(self, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        with self.engine.begin() as connection:
            self.insert(connection, table, rows)

    def insert(self, connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        """Insert the rows that are not there yet."""
        statement = self._insert_statement(table)
        for start in range(0, len(rows), _ROWS_PER_STATEMENT):
            connection.execute(statement, rows[start : start + _ROWS_PER_STATEMENT])

    def _insert_statement(self, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
        """Inserts what is not there yet."""
        if self.engine.dialect.name == "postgresql":
            return postgresql.insert(table).on_conflict_do_nothing()
        return sqlite.insert(table).on_conflict_do_nothing()

    def _erased(self, customer_ids: Iterable[str]) -> set[str]:
        hashes = {customer_hash(c): c for c in customer_ids}
        t = schema.tombstones
        found: set[str] = set()
        with self.engine.connect() as connection:
            for part in parts(list(hashes)):
                query = sa.select(t.c.customer_hash).where(t.c.customer_hash.in_(part))
                found |= {hashes[h] for h in connection.scalars(query)}
        return found

    def _without_erased(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        erased = self._erased({row["customer_id"] for row in rows})
        return [row for row in rows if row["customer_id"] not in erased]

    def _rows(self, query: sa.Select[Any]) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def _table(self, query: sa.Select[Any], times: list[str]) -> pd.DataFrame:
        rows = self._rows(query)
        table = pd.DataFrame(rows, columns=[c.name for c in query.selected_columns])
        for name in times:
            table[name] = pd.to_datetime(table[name], utc=True).astype("datetime64[us, UTC]")
        return table


class JsonText(str):
    """JSON that is a text already; a column of JSON takes it as it is."""


def _as_json(value: Any) -> str:
    return value if isinstance(value, JsonText) else json.dumps(value)


def parts(values: Sequence[str]) -> Iterable[Sequence[str]]:
    """As many ids at a time as a query may name."""
    for start in range(0, len(values), _IDS_PER_QUERY):
        yield values[start : start + _IDS_PER_QUERY]


def customer_hash(customer_id: str) -> str:
    """What a tombstone keeps of an erased customer's id."""
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
