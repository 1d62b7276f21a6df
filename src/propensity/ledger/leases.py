"""Leases: what only one process may do at a time, on whichever machine, and how a dead one's place becomes free.

A lease's row is renewed while its holder lives, and goes when it is done. All times are the database's: clocks of
machines differ.
"""

from __future__ import annotations

import getpass
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from propensity.errors import JobError
from propensity.ledger import schema
from propensity.ledger.availability import LedgerUnavailable
from propensity.ledger.store import Ledger

LEASE_SECONDS = 45.0
"""After its last renewal a lease lapses."""
RENEWALS = 4
"""So often it is renewed within that time."""


@dataclass(frozen=True)
class Held:
    """A lease that somebody else has; ``since`` is aware, by the database's clock."""

    name: str
    who: str
    since: datetime


class Lease:
    """A lease that this process has; see `lease`."""

    def __init__(self, ledger: Ledger, name: str, seconds: float) -> None:
        self.ledger = ledger
        self.name = name
        self.seconds = seconds
        self.token = secrets.token_hex(8)
        self._done = threading.Event()

    def require(self) -> None:
        """Refuse to go on where the lease was lost, as that of a machine that slept; renews it.

        Raises
        ------
        JobError
            Somebody else has it, or had it meanwhile.
        LedgerUnavailable
        """
        if not self._renew():
            raise JobError(
                f"lease {self.name}: lapsed, because it could not be renewed for {self.seconds:g} seconds, and "
                "somebody else may have taken it; nothing was done since, run it again"
            )

    def take(self, who: str) -> Held | None:
        """Take the lease where it is free or has lapsed; else who has it."""
        t = schema.leases

        def change(connection: sa.Connection) -> Held | None:
            now = _now(connection)
            row = {"name": self.name, "token": self.token, "who": who, "since": now, "expires_at": self._end(now)}
            self.ledger.insert(connection, t, [row])
            found = connection.execute(sa.select(t).where(t.c.name == self.name).with_for_update()).mappings().one()
            if found["token"] == self.token:
                return None
            if found["expires_at"] > now:
                return Held(self.name, found["who"], found["since"])
            connection.execute(t.update().where(t.c.name == self.name).values(row))
            return None

        return self.ledger.transact(change)

    def _renew(self) -> bool:
        t = schema.leases

        def change(connection: sa.Connection) -> bool:
            mine = (t.c.name == self.name) & (t.c.token == self.token)
            values = {"expires_at": self._end(_now(connection))}
            return connection.execute(t.update().where(mine).values(values)).rowcount == 1

        return self.ledger.transact(change)

    def _end(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self.seconds)

    def keep(self) -> None:
        """Renew the lease until it is given back; for a thread of its own."""
        while not self._done.wait(self.seconds / RENEWALS):
            try:
                if not self._renew():
                    return
            except LedgerUnavailable:
                continue

    def give_back(self) -> None:
        """Let others have it at once."""
        self._done.set()
        t = schema.leases
        mine = (t.c.name == self.name) & (t.c.token == self.token)
        self.ledger.transact(lambda connection: connection.execute(t.delete().where(mine)))


@contextmanager
def lease(ledger: Ledger, name: str, *, who: str | None = None, seconds: float | None = None) -> Iterator[Lease | Held]:
    """Hold a lease while the context lasts, or learn who holds it.

    Parameters
    ----------
    ledger : Ledger
    name : str
        Of what only one may do at a time.
    who : str, optional
        For people; default: the user, the machine and the process.
    seconds : float, optional
        After which the lease of a process that died lapses; default: `LEASE_SECONDS`.
    """
    mine = Lease(ledger, name, LEASE_SECONDS if seconds is None else seconds)
    held = mine.take(who or this_process())
    if held is not None:
        yield held
        return
    keeper = threading.Thread(target=mine.keep, name=f"lease {name}", daemon=True)
    keeper.start()
    try:
        yield mine
    finally:
        mine.give_back()
        keeper.join()


def this_process() -> str:
    """Who this is, for people."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "somebody"
    return f"{user} on {socket.gethostname()}, process {os.getpid()}"


def _now(connection: sa.Connection) -> datetime:
    """The database's time, aware."""
    if connection.dialect.name == "sqlite":
        clock = sa.text("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')")
        return datetime.fromisoformat(f"{connection.scalar(clock)}+00:00")
    now = connection.scalar(sa.text("SELECT clock_timestamp()"))
    assert isinstance(now, datetime)
    return now
