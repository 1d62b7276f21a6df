"""Many rows of the ledger as columns of Arrow, without an object of Python for each value.

PostgreSQL gives them by its binary COPY (ADBC). SQLite writes many rows into one text, which Arrow reads as CSV: another
copy of SQLite in this process, as ADBC brings one, would let go of the file locks of ours when it closes the file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from pyarrow import csv

from propensity.errors import InputError
from propensity.ledger.availability import LedgerUnavailable, first_line
from propensity.ledger.database import Database

Kind = Literal["text", "time", "number", "money"]
"""Money is read to the millionth."""

ROWS_AT_A_TIME = 20_000
"""Of SQLite's rows that are written into one text."""

ARROW: dict[Kind, pa.DataType] = {
    "text": pa.string(),
    "time": pa.timestamp("us"),
    "number": pa.float64(),
    "money": pa.float64(),
}
_MILLIONTHS = 1_000_000
_CAMPAIGN = "propensity.campaign"
"""A setting of the session: a COPY takes no parameters."""


@dataclass(frozen=True)
class Wanted:
    """Columns of some rows of a table.

    Attributes
    ----------
    table : str
    columns : dict of str to (str, str)
        By name the expression in SQL, and its kind. An expression may name ``{campaign}``; a JSON column ``{json}``.
    where : str
        In SQL, the same for both databases; times are written as `sql_time` does.
    """

    table: str
    columns: Mapping[str, tuple[str, Kind]]
    where: str = ""


class Columns(Protocol):
    """A ledger as it is at one moment, read by columns; times are UTC without a zone."""

    def size(self, table: str) -> int:
        """About how many rows a table has."""
        ...

    def tables(self, wanted: Wanted) -> Iterator[pa.Table]:
        """The rows, in parts."""
        ...


@contextmanager
def columns_of(ledger: Database, campaign: str) -> Iterator[Columns]:
    """Columns of a ledger, all of the same moment.

    Raises
    ------
    LedgerUnavailable
        The database cannot answer now.
    """
    with ExitStack() as stack:
        if ledger.engine.dialect.name == "sqlite":
            with _told(ledger, sa.exc.SQLAlchemyError, sqlite3.OperationalError):
                connection = stack.enter_context(ledger.engine.connect())
                yield SqliteColumns(connection, campaign)
            return
        try:
            from adbc_driver_postgresql import dbapi
        except ModuleNotFoundError as error:
            raise InputError(f"ledger {ledger.name}: needs {error.name}; install propensity[postgres]") from error
        # what SQLAlchemy's driver alone understands stays out of the address
        address = ledger.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        with _told(ledger, dbapi.OperationalError):
            connected = stack.enter_context(closing(dbapi.connect(address)))
            yield PostgresColumns(stack.enter_context(closing(connected.cursor())), campaign)


@contextmanager
def _told(ledger: Database, *away: type[Exception]) -> Iterator[None]:
    try:
        yield
    except away as error:
        raise LedgerUnavailable(f"ledger {ledger.name}: is not available now ({first_line(error)})") from error


class SqliteColumns:
    """Columns of a ledger in SQLite."""

    def __init__(self, connection: sa.Connection, campaign: str) -> None:
        self._cursor = cast(Any, connection.connection.driver_connection)
        self._values = {"campaign": campaign}
        # the first read fixes the moment of all that follow
        self._cursor.execute("BEGIN")

    def size(self, table: str) -> int:
        """About how many rows a table has."""
        return int(self._cursor.execute(f"SELECT coalesce(max(rowid), 0) FROM {table}").fetchone()[0])

    def tables(self, wanted: Wanted) -> Iterator[pa.Table]:
        """The rows, in parts."""
        if "{people}" in wanted.where:
            yield from self._by_index(wanted)
            return
        line = _line_of(wanted)
        where = f" AND ({_sqlite(wanted.where)})" if wanted.where else ""
        asked = (
            f"SELECT group_concat({line}, char(10)) FROM {wanted.table} "
            f"WHERE rowid > :after AND rowid <= :until{where}"
        )
        for after in range(0, self.size(wanted.table), ROWS_AT_A_TIME):
            values = {**self._values, "after": after, "until": after + ROWS_AT_A_TIME}
            (text,) = self._cursor.execute(asked, values).fetchone()
            if text is not None:
                yield _parsed(text, wanted)

    def _by_index(self, wanted: Wanted) -> Iterator[pa.Table]:
        asked = f"SELECT {_line_of(wanted)} FROM {wanted.table} WHERE {_sqlite(wanted.where)}"
        rows = self._cursor.execute(asked, self._values)
        while lines := rows.fetchmany(ROWS_AT_A_TIME):
            yield _parsed("\n".join(line for (line,) in lines), wanted)


class PostgresColumns:
    """Columns of a ledger in PostgreSQL."""

    def __init__(self, cursor: Any, campaign: str) -> None:
        self._cursor = cursor
        # a connection of ADBC is in a transaction from its first statement on
        self._cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        self._cursor.execute("SET LOCAL timezone TO 'UTC'")
        self._cursor.execute("SELECT set_config($1, $2, true)", (_CAMPAIGN, campaign))
        self._cursor.fetchall()

    def size(self, table: str) -> int:
        """About how many rows a table has."""
        self._cursor.execute(f"SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = '{table}'::regclass")
        return int(self._cursor.fetchone()[0])

    def tables(self, wanted: Wanted) -> Iterator[pa.Table]:
        """The rows, in parts."""
        columns = ", ".join(f'{_postgres(sql)} AS "{name}"' for name, (sql, _) in wanted.columns.items())
        where = f" WHERE {_postgres(wanted.where)}" if wanted.where else ""
        self._cursor.execute(f"SELECT {columns} FROM {wanted.table}{where}")
        schema = pa.schema([(name, ARROW[kind]) for name, (_, kind) in wanted.columns.items()])
        for batch in self._cursor.fetch_record_batch():
            yield _in_utc(pa.table(batch)).cast(schema)


_PEOPLE = "customer_id IN (SELECT customer_id FROM decisions WHERE campaign = {campaign})"


def _sqlite(sql: str) -> str:
    return sql.replace("{people}", _PEOPLE).replace("{campaign}", ":campaign").replace("{json}", "")


def _postgres(sql: str) -> str:
    setting = f"current_setting('{_CAMPAIGN}')"
    return sql.replace("{people}", _PEOPLE).replace("{campaign}", setting).replace("{json}", "::text")


def _line_of(wanted: Wanted) -> str:
    """A row as a line of CSV: a text in quotes, which are doubled inside; NULL or nothing where it is missing."""
    # one call of printf is twice as fast as putting the same together by ||
    marks = ",".join("%Q" if kind == "text" else "%s" for _, kind in wanted.columns.values())
    # a whole number is written ten times as fast as one with decimals
    cells = [
        f"CAST(round({_sqlite(sql)} * {_MILLIONTHS}) AS INTEGER)" if kind == "money" else _sqlite(sql)
        for sql, kind in wanted.columns.values()
    ]
    return f"printf('{marks}', {', '.join(cells)})"


def _parsed(text: str, wanted: Wanted) -> pa.Table:
    kinds = {name: ARROW[kind] for name, (_, kind) in wanted.columns.items()}
    written = text.encode()
    table = csv.read_csv(
        pa.BufferReader(written),
        read_options=csv.ReadOptions(column_names=list(kinds), use_threads=False, block_size=len(written) + 1),
        parse_options=csv.ParseOptions(quote_char="'", newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types=kinds, null_values=["NULL", ""], strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    )
    for k, (name, (_, kind)) in enumerate(wanted.columns.items()):
        if kind == "money":
            table = table.set_column(k, name, pc.divide(table[name], float(_MILLIONTHS)))
    return table


def _in_utc(table: pa.Table) -> pa.Table:
    """Without time zones: the numbers are those of UTC already."""
    for i, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type) and field.type.tz is not None:
            table = table.set_column(i, field.name, table.column(i).cast(pa.timestamp("us", "UTC")).cast(ARROW["time"]))
    return table


def sql_time(microseconds: int) -> str:
    """A time since 1970 as both databases compare it with the ledger's."""
    moment = pa.scalar(microseconds, pa.timestamp("us")).as_py()
    return f"'{moment:%Y-%m-%d %H:%M:%S.%f}'"
