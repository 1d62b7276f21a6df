"""What the ledger knows of people on whom is decided: their history, who is never contacted, which decision stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from propensity.contract import CUSTOMERS
from propensity.features import required_columns
from propensity.ledger import Ledger
from propensity.ledger.schema import OPT_OUTS
from propensity.people import Customers, People
from propensity.playbook import Playbook, derived
from propensity.policy.schedule import TIME_ZONE

WITHDRAWN_BY = ("suppressed", "opted_out", "complained", "already_back")
"""Rules that stop a contact even where a decision to make it stands."""


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of people.

    Attributes
    ----------
    contacts, outcomes : DataFrame or None
        See `Ledger.history`; None where there is neither.
    suppressed : set of str
        Who opted out, complained or was erased.
    """

    contacts: pd.DataFrame | None
    outcomes: pd.DataFrame | None
    suppressed: set[str]


def known_of(ledger: Ledger, customer_ids: Sequence[str], decision_ids: Sequence[str]) -> Known:
    """What the ledger knows of people on whom decisions with these ids are made; such a decision is no touch yet."""
    contacts, outcomes = ledger.history(customer_ids)
    if contacts.empty and outcomes.empty:
        return Known(None, None, ledger.erased(customer_ids))
    contacts = contacts[~contacts["decision_id"].isin(decision_ids)]
    opted_out = outcomes.loc[outcomes["type"].isin(OPT_OUTS), "customer_id"]
    suppressed = ledger.erased(customer_ids) | set(opted_out)
    if contacts.empty and outcomes.empty:
        return Known(None, None, suppressed)
    return Known(contacts, outcomes, suppressed)


def unless_withdrawn(standing: Sequence[dict[str, Any]], now: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Answers that stand, but for contacts that what was decided now says must not be made any more."""
    return [new if is_withdrawn(stands, new) else stands for stands, new in zip(standing, now, strict=True)]


def is_withdrawn(stands: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether the answer made now says that the contact of the one that stands must not be made any more."""
    return bool(stands["send"]) and now["assignment"] == "suppressed" and now["reason_codes"][0] in WITHDRAWN_BY


def snapshots(customers: Customers, playbook: Playbook) -> People:
    """The columns of a customers table that deciding and learning by this playbook read; others are not kept."""
    return People.of(customers).only(_read_by(playbook))


@derived
def _read_by(playbook: Playbook) -> frozenset[str]:
    read = {c.name for c in (*CUSTOMERS, *required_columns(playbook))} | {TIME_ZONE}
    read |= {*playbook.features.numeric, *playbook.features.categorical, *playbook.features.protected}
    read |= set(playbook.segments.model_dump().values())
    for condition in (*(a.only for a in playbook.actions.values()), *(c.where for c in playbook.changes)):
        read |= set(condition)
    return frozenset(read)
