"""When the database cannot answer: which errors say so, and which are worth another try."""

from __future__ import annotations

import re
import sqlite3

import sqlalchemy as sa

from propensity.errors import JobError

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

_NOT_THERE = ("42P01", "42703", "3F000")
"""SQLSTATEs of a table, a column or a schema that is gone: the tables are of another revision, or were taken away."""
_NOT_THERE_IN_SQLITE = re.compile(r"no such (table|column)|table \w+ has no column")
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
        return code in _SQLITE or bool(_NOT_THERE_IN_SQLITE.match(str(error.orig)))
    state = _sqlstate(error)
    if state is None:  # no answer of a server at all
        return error.connection_invalidated or isinstance(error, sa.exc.OperationalError)
    return state.startswith(_POSTGRESQL) or state in (*_COLLIDED, *_NOT_THERE)


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
