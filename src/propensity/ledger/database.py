"""The database under the ledger: its address, its tables, and how rows come and go."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from propensity.errors import InputError
from propensity.ledger import migrating, schema
from propensity.ledger.availability import (
    Collided,
    LedgerUnavailable,
    first_line,
    is_collision,
    is_cut,
    is_unavailable,
)
from propensity.ledger.group_commit import Batch, GroupWriter

T = TypeVar("T")
X = TypeVar("X")

logger = logging.getLogger("propensity.ledger")

PATIENCE_SECONDS = 10.0
"""How long a connection, or the lock of a busy SQLite file, is waited for."""

COLLISIONS = 4
"""So often a transaction may collide with others before it is told."""

MOST_ROWS_IN_A_GROUP = 200
"""A write of more rows has a transaction of its own, so that small ones need not wait for it."""

_ROWS_PER_STATEMENT = 500  # SQLite allows 32,766 parameters in one statement
_IDS_PER_QUERY = 900
_PAUSE_SECONDS = 0.02
"""Between two looks at a lock that SQLite does not wait for itself."""


class Database:
    """A database with the ledger's tables; see `Ledger`."""

    def __init__(self, url: str, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        try:
            self.engine = _engine(url, patience_seconds)
        except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError) as error:
            raise InputError(
                f"ledger {_without_password(url)}: is not a database address; expected sqlite:///FILE or "
                "postgresql+psycopg://USER@HOST/DATABASE"
            ) from error
        except ModuleNotFoundError as error:
            raise InputError(
                f"ledger {_without_password(url)}: needs {error.name}; install propensity[postgres]"
            ) from error
        self._group: GroupWriter | None = None
        self._of_this_version = True
        self._recorded_campaigns: set[str] = set()

    def create(self) -> Self:
        """Bring the tables to the newest revision: of nothing, of a ledger of an older version, of any revision.

        Raises
        ------
        InputError
            A newer version made the ledger.
        LedgerUnavailable
            The database does not answer.
        """
        if self._revision() != migrating.newest():
            self.upgrade()
        return self

    def open(self) -> Self:
        """Check that the tables are there.

        Raises
        ------
        InputError
            The database was never initialised, or is of another version.
        LedgerUnavailable
            The database does not answer.
        """
        revision = self.revision()
        with self._opening(), self.engine.connect() as connection:
            found = set(sa.inspect(connection).get_table_names()) & set(schema.metadata.tables)
            _warn_of_lost_writes(connection, self.name)
        if not found:
            raise InputError(f"ledger {self.name}: is not initialised; run: propensity ledger init {self.name}")
        if revision != migrating.newest():
            raise InputError(
                f"ledger {self.name}: was made by an older version; bring it up to date, which keeps what it holds: "
                f"propensity ledger init {self.name}"
            )
        return self

    def revision(self) -> str | None:
        """The revision of the tables; None of an empty database and of a ledger older than migrations.

        Raises
        ------
        InputError
            There is no such database, or a newer version made the ledger.
        LedgerUnavailable
            The database does not answer.
        """
        if self.engine.dialect.name == "sqlite" and not Path(self.engine.url.database or "").exists():
            raise InputError(f"ledger {self.name}: does not exist; make it with: propensity ledger init {self.name}")
        return self._revision()

    def answers(self) -> bool:
        """Whether it answers now, with the tables of this version; while they are others, it counts as away."""
        try:
            with self.engine.connect() as connection:
                connection.execute(sa.select(schema.playbook_approvals.c.id).limit(1))
                self._of_this_version = migrating.current(connection) == migrating.newest()
        except sa.exc.SQLAlchemyError:
            return False
        return self._of_this_version

    def upgrade(self, revision: str = migrating.HEAD) -> None:
        """Bring the tables forward to a revision; see `create`."""
        if revision != migrating.HEAD:
            self._require_known(revision)
        self._revision()
        with self._opening():
            migrating.upgrade(self.engine, revision)

    def lost_by_downgrade(self, revision: str) -> dict[str, int]:
        """What `downgrade` to a revision would destroy, and how much there is of it; what is counted anew is not lost.

        Raises
        ------
        InputError
            There is no such earlier revision.
        """
        self._require_known(revision)
        now = self.revision()
        with self._opening(), self.engine.connect() as connection:
            return {
                what: connection.scalar(sa.select(sa.func.count()).select_from(sa.table(name))) or 0
                for name, what in migrating.lost_between(revision, now).items()
            }

    def downgrade(self, revision: str) -> None:
        """Bring the tables back to a revision; what only later ones can hold is lost (see `lost_by_downgrade`).

        Raises
        ------
        InputError
            There is no such earlier revision.
        """
        self._require_known(revision)
        self.revision()
        with self._opening():
            migrating.downgrade(self.engine, revision)

    def _revision(self) -> str | None:
        with self._opening(), self.engine.connect() as connection:
            found = migrating.current(connection)
        if found is not None and not migrating.is_known(found):
            raise InputError(
                f"ledger {self.name}: is of revision {found}, which a newer version made; this one knows "
                f"{migrating.newest()} at most: install the newer version"
            )
        return found

    def _require_known(self, revision: str) -> None:
        if not migrating.is_known(revision):
            known = ", ".join(r.revision for r in migrating.revisions())
            raise InputError(f"ledger {self.name}: expected a revision among {known}, found {revision}")

    @contextmanager
    def _opening(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.DatabaseError as error:
            raise LedgerUnavailable(f"ledger {self.name}: cannot be opened ({first_line(error)})") from error

    @property
    def name(self) -> str:
        """The URL without its password."""
        return self.engine.url.render_as_string(hide_password=True)

    def grouped(self) -> Self:
        """From now on small writes of many threads are committed together; for a process that serves many."""
        if self._group is None:
            self._group = GroupWriter(self)
        return self

    def close(self) -> None:
        """Commit what was handed over, and give back all connections."""
        if self._group is not None:
            self._group.close()
        self.engine.dispose()

    def read(self, ask: Callable[[sa.Connection], T]) -> T:
        """Ask the ledger; where the connection had been cut, once more on a new one.

        Raises
        ------
        LedgerUnavailable
            The database cannot answer now.
        """
        return self._twice(lambda: self._asked(ask))

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection to read many rows from while the context lasts.

        Raises
        ------
        LedgerUnavailable
            The database cannot answer now.
        """
        with self._telling(), self.engine.connect() as connection:
            yield connection

    def write(self, change: Callable[[sa.Connection], T], *, rows: int) -> T:
        """Carry out a change that is harmless when repeated; few rows go with those of other threads if `grouped`.

        Raises
        ------
        LedgerUnavailable
            The database cannot take it now; nothing of it is acknowledged, and asking again is safe.
        """
        if self._group is not None and rows <= MOST_ROWS_IN_A_GROUP:
            return self._group.submit(change).result()
        return self.transact(change)

    def write_item(self, batch: Batch[X, T], item: X, *, rows: int) -> T:
        """The same of an item, which ``batch`` can write together with those of other threads."""
        if self._group is not None and rows <= MOST_ROWS_IN_A_GROUP:
            return self._group.submit_item(batch, item).result()
        return self.transact(lambda connection: batch(connection, [item]))[0]

    def transact(self, change: Callable[[sa.Connection], T]) -> T:
        """Carry out a change that is harmless when repeated, in a transaction of its own; see `write`."""
        for _ in range(COLLISIONS):
            try:
                return self.attempt(change)
            except Collided:
                continue
        return self.attempt(change)

    def attempt(self, change: Callable[[sa.Connection], T]) -> T:
        """The same, but a collision with other transactions is told (`Collided`) and not tried again."""
        return self._twice(lambda: self._changed(change))

    def _asked(self, ask: Callable[[sa.Connection], T]) -> T:
        with self.engine.connect() as connection:
            return ask(connection)

    def _changed(self, change: Callable[[sa.Connection], T]) -> T:
        with self.engine.begin() as connection:
            if connection.dialect.name == "sqlite":
                # what is read before the first row is written is then still true when it is
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            return change(connection)

    def _twice(self, act: Callable[[], T]) -> T:
        if not self._of_this_version:
            raise LedgerUnavailable(
                f"ledger {self.name}: its tables are of another revision; run: propensity ledger init"
            )
        with self._telling():
            try:
                return act()
            except sa.exc.DBAPIError as error:
                if not is_cut(error):
                    raise
                return act()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Errors of a database that is away as `LedgerUnavailable`, collisions as `Collided`."""
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            if not is_unavailable(error):
                raise
            kind = Collided if is_collision(error) else LedgerUnavailable
            raise kind(f"ledger {self.name}: is not available now ({first_line(error)}); try again later") from error

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

    def _rows(self, query: sa.Select[Any]) -> list[dict[str, Any]]:
        return self.read(lambda connection: [dict(row) for row in connection.execute(query).mappings()])

    def _table(self, query: sa.Select[Any], times: list[str]) -> pd.DataFrame:
        rows = self._rows(query)
        table = pd.DataFrame(rows, columns=[c.name for c in query.selected_columns])
        # also without rows, and where all are missing, texts are texts
        table = table.astype({c.name: "str" for c in query.selected_columns if isinstance(c.type, sa.Text)})
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


_HASH = schema.tombstones.c.customer_hash
_TOMBSTONES = sa.select(_HASH).where(_HASH.in_(sa.bindparam("hashes", expanding=True)))


def erased(connection: sa.Connection, customer_ids: Iterable[str]) -> set[str]:
    """Those of these customers who were erased."""
    hashes = {customer_hash(c): c for c in customer_ids}
    found: set[str] = set()
    for part in parts(list(hashes)):
        found |= {hashes[h] for h in connection.scalars(_TOMBSTONES, {"hashes": part})}
    return found


def without_erased(connection: sa.Connection, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows whose ``customer_id`` is not that of an erased person."""
    gone = erased(connection, {row["customer_id"] for row in rows})
    return [row for row in rows if row["customer_id"] not in gone]


def customer_hash(customer_id: str) -> str:
    """What a tombstone keeps of an erased customer's id."""
    return hashlib.blake2b(customer_id.encode(), digest_size=16, person=b"tombstone").hexdigest()


def _without_password(url: str) -> str:
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", url)


def _engine(url: str, patience_seconds: float) -> sa.Engine:
    address = sa.make_url(url)
    # the values of a failed statement are customers' data: they stay out of its error
    always = {"hide_parameters": True, "json_serializer": _as_json}
    if address.get_backend_name() == "sqlite":
        engine = sa.create_engine(address, connect_args={"timeout": patience_seconds}, **always)
        sa.event.listen(engine, "connect", _prepare_sqlite)
        return engine
    # the second of the two, in milliseconds, is for a server that goes silent in the middle of an answer
    patience = {"connect_timeout": max(2, round(patience_seconds)), "tcp_user_timeout": round(1000 * patience_seconds)}
    waits = {name: value for name, value in patience.items() if name not in address.query}
    engine = sa.create_engine(address, connect_args=waits, pool_pre_ping=True, pool_timeout=patience_seconds, **always)
    if engine.dialect.name == "postgresql":
        sa.event.listen(engine, "connect", _prepare_postgresql)
    return engine


def _prepare_sqlite(connection: Any, _: Any) -> None:
    """Readers beside a writer, and commits that survive a power cut."""
    cursor = connection.cursor()
    (patience_milliseconds,) = cursor.execute("PRAGMA busy_timeout").fetchone()
    ends = time.monotonic() + patience_milliseconds / 1_000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:
            # where another connection writes to a ledger that is new, SQLite does not wait itself
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > ends:
                raise
            time.sleep(_PAUSE_SECONDS)
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _prepare_postgresql(connection: Any, _: Any) -> None:
    """Commits that survive a power cut, also on a server that would rather be fast."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
    connection.commit()


def _warn_of_lost_writes(connection: sa.Connection, name: str) -> None:
    """Say so where the server itself does not wait for its disk, which no client can change."""
    if connection.dialect.name != "postgresql":
        return
    if connection.scalar(sa.text("SELECT current_setting('fsync')")) == "off":
        logger.warning("ledger %s: the server runs with fsync = off; a power cut can lose what it acknowledged", name)
