"""When the database cannot answer: which errors say so, and which are worth another try."""

from __future__ import annotations

import sqlite3

import sqlalchemy as sa

from propensity.errors import JobError
from propensity.ledger import schema

_SQLITE = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOTADB,
}
_POSTGRESQL = ("08", "25006", "53", "55P03", "57", "58")
"""SQLSTATEs that begin so: connection, read only, resources (disk full), lock timeout, operator, system."""

_NO_SUCH_TABLE = "42P01"
_NO_SUCH_TABLE_IN_SQLITE = "no such table"
"""SQLite has no code for it."""

_COLLIDED = ("40001", "40P01")
"""PostgreSQL gave one of several transactions up, that the others may go on."""


class LedgerUnavailable(JobError):  # noqa: N818 - it names a state that passes, not a mistake
    """The ledger cannot be read or written now; nothing of what was asked is acknowledged, and asking again is safe."""


class Collided(LedgerUnavailable):
    """Of several transactions that waited for each other in a circle this one was given up; it may be tried again."""


def is_unavailable(error: sa.exc.SQLAlchemyError) -> bool:
    """Whether an error is the database's state (gone, full, read only, other tables), not the statement's fault."""
    if isinstance(error, sa.exc.TimeoutError):  # no connection of the pool came free
        return True
    if not isinstance(error, sa.exc.DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        code = (getattr(error.orig, "sqlite_errorcode", None) or 0) & 0xFF
        lacks_table = str(error.orig).startswith(_NO_SUCH_TABLE_IN_SQLITE) and _is_ours(error)
        return code in _SQLITE or lacks_table
    state = _sqlstate(error)
    if state is None:  # no answer of a server at all
        return error.connection_invalidated or isinstance(error, sa.exc.OperationalError)
    return state.startswith(_POSTGRESQL) or state in _COLLIDED or (state == _NO_SUCH_TABLE and _is_ours(error))


def _is_ours(error: sa.exc.DBAPIError) -> bool:
    """Whether the table that is missing is one of the ledger's: it was taken away, or is not of this revision."""
    return any(name in first_line(error) for name in schema.metadata.tables)


def is_cut(error: sa.exc.SQLAlchemyError) -> bool:
    """Whether the connection was cut: on a new one it may succeed at once."""
    return isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated


def is_collision(error: sa.exc.SQLAlchemyError) -> bool:
    """Whether the transaction was given up, that others may go on."""
    return isinstance(error, sa.exc.DBAPIError) and _sqlstate(error) in _COLLIDED


def first_line(error: Exception) -> str:
    """What the database said, without the statement and its values."""
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]


def _sqlstate(error: sa.exc.DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)  # SQLite's errors have none
