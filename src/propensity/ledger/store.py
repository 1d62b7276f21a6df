"""The ledger as a whole."""

from __future__ import annotations

from propensity.ledger.erasing import Erasing
from propensity.ledger.lookups import Lookups
from propensity.ledger.periods import Periods
from propensity.ledger.reading import Reading
from propensity.ledger.writing import Writing


class Ledger(Writing, Reading, Lookups, Periods, Erasing):
    """The record of customers, decisions and outcomes, in SQLite or PostgreSQL.

    Parameters
    ----------
    url : str
        ``sqlite:///path`` or ``postgresql+psycopg://user@host/database``.
    patience_seconds : float
        How long a connection, or the lock of a busy SQLite file, is waited for before `LedgerUnavailable`.

    Raises
    ------
    InputError
        The URL cannot be understood, or its driver is not installed.
    """
