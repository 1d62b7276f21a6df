"""Lists for advertising and messaging tools that cannot ask: one file a channel and offer."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from propensity.errors import InputError
from propensity.playbook import Playbook

COLUMNS = ("customer_id", "decision_id", "action", "archetype", "not_before", "expires_at", "contact_at")


@dataclass(frozen=True)
class Audiences:
    """Where lists go, and whether they carry hashed addresses.

    Attributes
    ----------
    directory : Path
        Replaced as a whole.
    email_column : str or None
        Column of the customers table; its SHA-256 (address trimmed, in small letters, in hexadecimal, as advertising
        tools expect it) is added to each list.
    """

    directory: Path
    email_column: str | None = None

    def lists(self, aside: Path, playbook: Playbook) -> AudienceLists:
        """Lists in a new directory, which takes the place of `directory` when all else has succeeded."""
        aside.mkdir()
        return AudienceLists(aside, playbook, self.email_column)


class AudienceLists:
    """One CSV file for each channel and offer of the playbook's channels that take lists."""

    def __init__(self, directory: Path, playbook: Playbook, email_column: str | None) -> None:
        self.directory = directory
        self.playbook = playbook
        self.email_column = email_column

    def add(self, decisions: pd.DataFrame, customers: pd.DataFrame) -> None:
        """Append those who are contacted; ``customers`` (n, ...) are their rows.

        Raises
        ------
        InputError
            The customers lack the column of addresses.
        """
        if self.email_column is not None and self.email_column not in customers:
            raise InputError(f"--hashed-email {self.email_column}: the customers have no such column")
        sent = decisions[decisions["send"].astype(bool)]
        for (channel, offer), rows in sent.groupby(["channel", "offer"]):
            part = self.playbook.channels[str(channel)]
            if not part.audience:
                continue
            table = rows[list(COLUMNS)].copy()
            if part.max_impressions_per_week is not None:
                table["max_impressions_per_week"] = part.max_impressions_per_week
            if self.email_column is not None:
                table["email_sha256"] = customers.loc[rows.index, self.email_column].map(hashed_email)
            file = self.directory / f"{channel}-{offer}.csv"
            table.to_csv(file, mode="a", header=not file.exists(), index=False)


def hashed_email(address: object) -> str | None:
    """SHA-256 of an address in small letters without spaces around it, in hexadecimal; None where there is none."""
    if not isinstance(address, str) or not re.search(r"\S", address):
        return None
    return hashlib.sha256(address.strip().lower().encode()).hexdigest()
