"""Many rows of the ledger as columns of Arrow, without an object of Python for each value.

PostgreSQL gives them by its binary COPY (ADBC). SQLite puts the values of a column of many rows into one text, which
is cut into Arrow's form again: another copy of SQLite in this process, as ADBC brings one, would let go of our file
locks when it closes the file (https://sqlite.org/howtocorrupt.html, section 2.2.1).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from propensity.errors import InputError
from propensity.ledger.availability import LedgerUnavailable, first_line
from propensity.ledger.database import Database

Kind = Literal["id", "text", "time", "number", "money"]
"""Ids and times are never missing. Money is read to the millionth."""

ROWS_AT_A_TIME = 20_000
"""Of SQLite's rows that are written into one text."""

ARROW: dict[Kind, pa.DataType] = {
    "id": pa.string(),
    "text": pa.string(),
    "time": pa.timestamp("us"),
    "number": pa.float64(),
    "money": pa.float64(),
}
_MILLIONTHS = 1_000_000
_END, _MISSING = 0, "\x01"
"""After each value, and in the place of one that is missing: PostgreSQL takes no zero, and nobody writes the other."""
_CAMPAIGN = "propensity.campaign"
"""A setting of the session: a COPY takes no parameters."""


class Column(NamedTuple):
    """A column that is wanted.

    Attributes
    ----------
    sql : str
        Expression, the same for both databases; may name ``{campaign}``, and a JSON column ``{json}``.
    kind : str
    only : (str, str, str or None) or None
        Of a column that few rows have: a condition in SQL, and an earlier column, with its value (None: missing), that
        say the same; it is missing in all other rows.
    """

    sql: str
    kind: Kind
    only: tuple[str, str, str | None] | None = None


@dataclass(frozen=True)
class Wanted:
    """Columns of some rows of a table.

    Attributes
    ----------
    table : str
    columns : dict of str to Column
        By name.
    where : str
        In SQL, the same for both databases; times are written as `sql_time` does.
    """

    table: str
    columns: Mapping[str, Column]
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
            rows = self._cursor.execute(_rows_of(wanted, _sqlite(wanted.where)), self._values)
            while some := rows.fetchmany(ROWS_AT_A_TIME):
                yield _of_rows(some, wanted)
            return
        where = "rowid > :after AND rowid <= :until"
        where += f" AND ({_sqlite(wanted.where)})" if wanted.where else ""
        together = ", ".join(_together(column) for column in wanted.columns.values())
        asked = f"SELECT count(*), {together} FROM {wanted.table} WHERE {where}"
        for after in range(0, self.size(wanted.table), ROWS_AT_A_TIME):
            values = {**self._values, "after": after, "until": after + ROWS_AT_A_TIME}
            n, *texts = self._cursor.execute(asked, values).fetchone()
            if not n:
                continue
            table = _of_texts(texts, n, wanted)
            if table is None:
                # somebody wrote a zero into a text
                table = _of_rows(self._cursor.execute(_rows_of(wanted, where), values).fetchall(), wanted)
            yield table


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
        columns = ", ".join(f'{_postgres(_case(column))} AS "{name}"' for name, column in wanted.columns.items())
        where = f" WHERE {_postgres(wanted.where)}" if wanted.where else ""
        self._cursor.execute(f"SELECT {columns} FROM {wanted.table}{where}")
        schema = pa.schema([(name, ARROW[column.kind]) for name, column in wanted.columns.items()])
        for batch in self._cursor.fetch_record_batch():
            yield _in_utc(pa.table(batch)).cast(schema)


_PEOPLE = "customer_id IN (SELECT customer_id FROM decisions WHERE campaign = {campaign})"


def _sqlite(sql: str) -> str:
    return sql.replace("{people}", _PEOPLE).replace("{campaign}", ":campaign").replace("{json}", "")


def _case(column: Column) -> str:
    """The column as an expression of every row."""
    return f"CASE WHEN {column.only[0]} THEN {column.sql} END" if column.only else column.sql


def _postgres(sql: str) -> str:
    setting = f"current_setting('{_CAMPAIGN}')"
    return sql.replace("{people}", _PEOPLE).replace("{campaign}", setting).replace("{json}", "::text")


_CELLS: dict[Kind, str] = {
    "id": "{}",
    "time": "{}",
    "text": f"ifnull({{}}, char({ord(_MISSING)}))",
    "number": f"ifnull({{}}, char({ord(_MISSING)}))",
    # a whole number is written ten times as fast as one with decimals
    "money": f"ifnull(CAST(round({{}} * {_MILLIONTHS}) AS INTEGER), char({ord(_MISSING)}))",
}
"""Values as SQLite writes them into a text."""


def _cell(column: Column) -> str:
    return _CELLS[column.kind].format(_sqlite(column.sql))


def _together(column: Column) -> str:
    """The values of many rows as one text."""
    only = f" FILTER (WHERE {_sqlite(column.only[0])})" if column.only else ""
    return f"group_concat({_cell(column)}, char({_END})){only}"


def _rows_of(wanted: Wanted, where: str) -> str:
    cells = [_cell(column._replace(sql=_case(column))) for column in wanted.columns.values()]
    return f"SELECT {', '.join(cells)} FROM {wanted.table} WHERE {where}"


def _of_rows(rows: list[tuple[Any, ...]], wanted: Wanted) -> pa.Table:
    columns = [pa.array(map(str, values), pa.string()) for values in zip(*rows, strict=True)]
    kinds = [column.kind for column in wanted.columns.values()]
    return pa.table([_read(*x) for x in zip(columns, kinds, strict=True)], list(wanted.columns))


def _of_texts(texts: list[str | None], n: int, wanted: Wanted) -> pa.Table | None:
    """n rows of what `_together` made of each column; None where a text holds more ends than values."""
    made: dict[str, pa.Array] = {}
    for text, (name, column) in zip(texts, wanted.columns.items(), strict=True):
        there = None
        if column.only is not None:
            _, other, value = column.only
            same = made[other].is_null() if value is None else pc.fill_null(pc.equal(made[other], value), False)
            there = same.to_numpy(zero_copy_only=False)
        values = _cut(text, n if there is None else int(there.sum()))
        if values is None:
            return None
        read = _read(values, column.kind)
        made[name] = read if there is None else read.take(pa.array(np.cumsum(there) - 1, mask=~there))
    return pa.table(made)


def _cut(text: str | None, n: int) -> pa.Array | None:
    """The n values of a text with an end between each two; None where there are more ends."""
    if n == 0:
        return pa.array([], pa.string())
    written = np.frombuffer((text or "").encode() + bytes([_END]), np.uint8)
    if np.count_nonzero(written == _END) != n:
        return None
    width = len(written) // n
    if len(written) == n * width and not written[width - 1 :: width].any():
        # values of the same length, as times are
        letters, offsets = written.reshape(n, width)[:, :-1].ravel(), np.arange(n + 1) * (width - 1)
    else:
        ends = written == _END
        letters, offsets = written[~ends], np.append(0, np.flatnonzero(ends) - np.arange(n))
    return pa.StringArray.from_buffers(n, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(letters))


def _read(values: pa.Array, kind: Kind) -> pa.Array:
    """Values as SQLite wrote them, in their own type."""
    if kind in ("id", "time"):
        return values.cast(ARROW[kind])
    missing = pc.equal(values, _MISSING)
    if pc.any(missing).as_py():
        values = pc.if_else(missing, pa.scalar(None, pa.string()), values)
    found = values.cast(ARROW[kind])
    return pc.divide(found, float(_MILLIONTHS)) if kind == "money" else found


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
