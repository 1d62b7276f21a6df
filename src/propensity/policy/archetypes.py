"""Which archetype a person gets by rule: from why they left, what changed since, how they parted, to whom they went."""

from __future__ import annotations

import numpy as np
import pandas as pd

from propensity.playbook import Playbook
from propensity.segments import meets


def changed_since(
    customers: pd.DataFrame, reason: pd.Series, playbook: Playbook, at: pd.Timestamp | pd.Series, segments: pd.DataFrame
) -> np.ndarray:
    """For whom (n,) something changed between their leaving and ``at`` that answers their reason (see `Change`)."""
    changed = np.zeros(len(customers), dtype=bool)
    for change in playbook.changes:
        day = pd.Timestamp(change.on, tz="UTC")
        since = (customers["churned_at"] < day) & (day <= at)
        answers = reason.isin(list(change.closes)) if change.closes else True
        concerned = (since & answers).to_numpy()
        changed |= concerned & meets(change.where, customers, segments) if change.where else concerned
    return changed


def archetype_by_rule(customers: pd.DataFrame, reason: pd.Series, changed: np.ndarray, playbook: Playbook) -> pd.Series:
    """The archetype (n,) that rules give each person; missing where none answers.

    The first of the playbook's ``archetype_rules`` of which everything named agrees, else the archetype that answers
    the reason.

    Parameters
    ----------
    customers : DataFrame (n, ...)
    reason : Series (n,)
        For churn, stated or predicted.
    changed : array (n,)
        From `changed_since`.
    playbook : Playbook
    """
    archetype = reason.map(playbook.archetype_of_reason()).to_numpy(dtype=object)
    archetype[pd.isna(archetype)] = None
    missing = pd.Series(None, index=customers.index, dtype="str")
    relationship = customers.get("relationship", missing)
    to_competitor = customers.get("competitor", missing).notna().to_numpy()
    for rule in reversed(playbook.archetype_rules):
        fits = np.ones(len(customers), dtype=bool)
        if rule.reasons:
            fits &= reason.isin(list(rule.reasons)).to_numpy()
        if rule.relationships:
            fits &= relationship.isin(list(rule.relationships)).to_numpy()
        if rule.competitor is not None:
            fits &= to_competitor == rule.competitor
        if rule.changed is not None:
            fits &= changed == rule.changed
        archetype[fits] = rule.archetype
    return pd.Series(archetype, index=customers.index, dtype=object)
