"""What the ledger knows of people on whom is decided: their history, who is never contacted, which decision stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from propensity.contract import CONSENT_PREFIX, CONTROL, CUSTOMERS, one_flag, plain
from propensity.features import required_columns
from propensity.ledger import Ledger
from propensity.ledger.schema import OPT_OUTS
from propensity.people import Customers, People
from propensity.playbook import Playbook, derived
from propensity.policy import codes
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


def unless_withdrawn(
    standing: Sequence[dict[str, Any]], now: Sequence[dict[str, Any]], customers: Customers, playbook: Playbook
) -> list[dict[str, Any]]:
    """Answers that stand, but for contacts that must not be made any more: so says what was decided now, or a person.

    A person's word is the consent to the contact's channel, as ``customers`` have it now.
    """
    consented = unless_refused(standing, customers, playbook)
    return [
        new if is_withdrawn(stands, new) else told for stands, told, new in zip(standing, consented, now, strict=True)
    ]


def unless_refused(
    standing: Sequence[dict[str, Any]], customers: Customers, playbook: Playbook
) -> list[dict[str, Any]]:
    """Answers (n,) that stand, but for contacts to which these people, as given now, say no."""
    people = People.of(customers)
    needed = [consent_of(stands, playbook) for stands in standing]
    said = {name: plain(people.array(name)) for name in set(needed) if name is not None and name in people}
    return [
        without_consent(stands) if name in said and one_flag(said[name][i]) is False else stands
        for i, (stands, name) in enumerate(zip(standing, needed, strict=True))
    ]


def consent_of(stands: Mapping[str, Any], playbook: Playbook) -> str | None:
    """The column of the consent that the contact of an answer needs; None where it makes or needs none."""
    needs = stands["send"] and stands["channel"] in playbook.consent_channels
    return CONSENT_PREFIX + stands["channel"] if needs else None


def without_consent(stands: Mapping[str, Any]) -> dict[str, Any]:
    """A contact that stands as it is answered after the person took back the consent to its channel."""
    return {
        **stands,
        **dict.fromkeys(_OF_A_CONTACT),
        **{name: None if stands[name] is None else 0.0 for name in _EXPECTED_OF_IT},
        "send": False,
        "action": CONTROL,
        "assignment": "suppressed",
        "probability": 1.0,
        "reason_codes": [codes.NO_CONSENT.format(stands["channel"])],
        "cost": 0.0,
        "would_have_sent": CONTROL,
        "touch": stands["touch"] - 1,
        "contact_at": stands["not_before"],
    }


_OF_A_CONTACT = (
    *("archetype", "channel", "offer", "brief", "archetype_by", "next_action", "next_not_before"),
    *("alternative", "alternative_net_value", "alternative_lost"),
)
_EXPECTED_OF_IT = ("uplift", "uplift_low", "uplift_high", "expected_revenue", "net_value")


def is_withdrawn(stands: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether the answer made now says that the contact of the one that stands must not be made any more."""
    return bool(stands["send"]) and now["assignment"] == "suppressed" and now["reason_codes"][0] in WITHDRAWN_BY


def snapshots(customers: Customers, playbook: Playbook) -> People:
    """The columns of a customers table that deciding and learning by this playbook read; others are not kept."""
    return People.of(customers).only(read_by(playbook))


@derived
def read_by(playbook: Playbook) -> frozenset[str]:
    """Columns of a customers table that deciding and learning by a playbook read."""
    read = {c.name for c in (*CUSTOMERS, *required_columns(playbook))} | {TIME_ZONE}
    read |= {*playbook.features.numeric, *playbook.features.categorical, *playbook.features.protected}
    read |= set(playbook.segments.model_dump().values())
    for condition in (*(a.only for a in playbook.actions.values()), *(c.where for c in playbook.changes)):
        read |= set(condition)
    return frozenset(read)
