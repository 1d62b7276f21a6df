"""Who may be contacted at all, and with which actions; everybody else has the rule that stopped them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from propensity.contract import CONSENT_PREFIX
from propensity.playbook import Playbook


@dataclass(frozen=True)
class Eligibility:
    """What each person may get.

    Attributes
    ----------
    allowed : DataFrame (n, actions without control) of bool
    stopped_by : Series (n,)
        The rule that left a person without any action, or missing where some action is allowed.
    """

    allowed: pd.DataFrame
    stopped_by: pd.Series


def eligibility(
    customers: pd.DataFrame,
    playbook: Playbook,
    at: pd.Timestamp | pd.Series,
    suppressed: Collection[str] = (),
) -> Eligibility:
    """Apply the playbook's rules.

    Parameters
    ----------
    customers : DataFrame (n, ...)
        Checked customers.
    playbook : Playbook
    at : Timestamp or Series (n,)
        When the decision is taken.
    suppressed : collection of str
        Ids of people who opted out, complained or were erased.

    Notes
    -----
    Rules of the person come first, in this order: ``suppressed``, ``cooling_off``, ``past_horizon``. Then each
    action's own: ``no_consent_<channel>``, ``no_account_access``, ``offer_excluded_for_reason``. A person whose
    actions are all forbidden is stopped by the rule that forbade most of them.
    """
    n = len(customers)
    days = (at - customers["churned_at"]).dt.total_seconds().to_numpy() / 86_400
    person_rules = {
        "suppressed": customers["customer_id"].isin(set(suppressed)).to_numpy(),
        "cooling_off": days < playbook.program.cooling_off_days,
        "past_horizon": days > playbook.program.horizon_days,
    }
    allowed = np.ones((n, len(playbook.labels)), dtype=bool)
    forbidden_by: dict[str, np.ndarray] = {}
    for position, label in enumerate(playbook.labels):
        for rule, forbids in _action_rules(customers, playbook, label).items():
            fresh = forbids & allowed[:, position]
            forbidden_by.setdefault(rule, np.zeros(n, dtype=int))
            forbidden_by[rule] += fresh
            allowed[:, position] &= ~forbids
    stopped_by: np.ndarray = np.full(n, None, dtype=object)
    if forbidden_by:
        rules = list(forbidden_by)
        most = np.argmax(np.column_stack([forbidden_by[r] for r in rules]), axis=1)
        stopped_by = np.asarray(np.where(allowed.any(axis=1), None, np.array(rules, dtype=object)[most]))
    for rule, stops in reversed(person_rules.items()):
        stopped_by = np.asarray(np.where(stops, rule, stopped_by))
        allowed &= ~stops[:, None]
    return Eligibility(
        pd.DataFrame(allowed, columns=playbook.labels, index=customers.index),
        pd.Series(stopped_by, index=customers.index, dtype=object),
    )


def _action_rules(customers: pd.DataFrame, playbook: Playbook, label: str) -> dict[str, np.ndarray]:
    action = playbook.actions[label]
    channel, offer = playbook.channels[action.channel], playbook.offers[action.offer]
    rules = {}
    if channel.needs_consent:
        rules[f"no_consent_{action.channel}"] = ~_flag(customers, CONSENT_PREFIX + action.channel)
    if channel.needs_account_access:
        rules["no_account_access"] = ~_flag(customers, "account_access")
    if offer.excluded_reasons and "reason" in customers:
        rules["offer_excluded_for_reason"] = customers["reason"].isin(list(offer.excluded_reasons)).to_numpy()
    return rules


def _flag(customers: pd.DataFrame, column: str) -> np.ndarray:
    """A flag as bool; missing, also as a column, is no."""
    if column not in customers:
        return np.zeros(len(customers), dtype=bool)
    return customers[column].fillna(False).to_numpy(dtype=bool)
