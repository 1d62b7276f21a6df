"""What a company knows already, from files into the ledger: snapshots, past contacts, and what people did."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from propensity import contract
from propensity.campaigns import about_campaign
from propensity.dataset import read_file
from propensity.errors import InputError
from propensity.features import required_columns
from propensity.ledger import Ledger
from propensity.playbook import Playbook

TEXTS = ("customer_id", "decision_id", "event_id", "source", "campaign", "action")
"""Columns that are texts whatever they look like."""
KINDS = (".parquet", ".csv", ".csv.gz")
ROWS_TOGETHER = 20_000


@dataclass(frozen=True)
class Imported:
    """How many rows each table's file had, and how many of them were new to the ledger (None: not counted)."""

    table: str
    rows: int
    new: int | None


def import_tables(ledger: Ledger, directory: Path, playbook: Playbook) -> list[Imported]:
    """Record the contract tables that a directory holds; what is in the ledger already stays as it is.

    Parameters
    ----------
    ledger : Ledger
    directory : Path
        With one or more of ``customers``, ``contacts`` and ``outcomes``, as Parquet or CSV.
    playbook : Playbook
        Whose actions the contacts had, and whose columns the customers need. A campaign of the contacts that the ledger
        does not know begins with its first contact, by this playbook.

    Returns
    -------
    list of Imported

    Raises
    ------
    InputError, ContractError
        There is none of the tables, or one is faulty; all are checked before anything is recorded.
    LedgerUnavailable
        The database cannot answer now. What was recorded before stays; importing again records the rest.
    """
    tables = _checked(directory, playbook)
    campaigns: pd.Series = pd.Series(dtype=object)
    if "contacts" in tables:
        campaigns = tables["contacts"].groupby("campaign")["decided_at"].min()
    for campaign, first in campaigns.items():
        about = about_campaign(playbook, title=str(campaign), started_at=first.to_pydatetime())
        ledger.add_campaign(str(campaign), **about)
    return [_recorded(ledger, name, table) for name, table in tables.items()]


def _checked(directory: Path, playbook: Playbook) -> dict[str, pd.DataFrame]:
    """The directory's tables, checked alone and against each other."""
    if not directory.is_dir():
        raise InputError(f"{directory}: there is no such directory; name one that holds {_EXPECTED}")
    tables: dict[str, pd.DataFrame] = {}
    for name in contract.TABLES:
        found = [directory / f"{name}{kind}" for kind in KINDS if (directory / f"{name}{kind}").is_file()]
        if len(found) > 1:
            raise InputError(f"{directory}: holds {found[0].name} and {found[1].name}; leave one of the two")
        if found:
            extra = required_columns(playbook) if name == "customers" else ()
            tables[name] = contract.check(
                name, read_file(found[0], TEXTS), actions=playbook.labels, extra=extra, fix=MEND
            ).good
    if not tables:
        raise InputError(f"{directory}: holds none of the tables; expected {_EXPECTED}")
    if len(tables) == len(contract.TABLES):
        lost = contract.check_references(*(tables[name] for name in contract.TABLES))
        if lost:
            raise contract.ContractError(lost, fix=MEND)
    return tables


def _recorded(ledger: Ledger, name: str, table: pd.DataFrame) -> Imported:
    new: int | None = 0
    for start in range(0, len(table), ROWS_TOGETHER):
        part = table.iloc[start : start + ROWS_TOGETHER]
        if name == "contacts":
            ledger.add_contacts(part)
            new = None
        else:
            added = ledger.add_customers(part) if name == "customers" else ledger.add_outcomes(part)
            new = (new or 0) + len(added)
    return Imported(name, len(table), new)


_EXPECTED = "customers, contacts or outcomes, as .parquet or .csv"
MEND = "Mend these rows in the file; nothing was recorded"
