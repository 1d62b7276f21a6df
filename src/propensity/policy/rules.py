"""The rule playbook: what a company would do without any model. A baseline, and what to fall back on."""

from __future__ import annotations

import numpy as np
import pandas as pd

from propensity.contract import CONTROL
from propensity.playbook import Playbook
from propensity.policy.archetypes import archetype_by_rule


def rule_action(
    customers: pd.DataFrame, playbook: Playbook, allowed: pd.DataFrame, changed: np.ndarray | None = None
) -> np.ndarray:
    """The first allowed action of the archetype that each person gets by rule, (n,) labels.

    Actions count in the order in which the playbook lists them. People without a stated reason are taken to have left
    for the playbook's ``reasons.unknown_as``; people whose archetype has no allowed action get no contact.

    Parameters
    ----------
    customers : DataFrame (n, ...)
    playbook : Playbook
        Its ``archetype_rules`` come first, then which archetype answers the reason (see `archetype_by_rule`).
    allowed : DataFrame (n, actions) of bool
        An action without a column is not allowed.
    changed : array (n,), optional
        For whom something changed since they left (see `changed_since`); default: for nobody.
    """
    missing = pd.Series(None, index=customers.index, dtype="str")
    reason = customers.get("reason", missing).fillna(playbook.reasons.unknown_as)
    changed = np.zeros(len(customers), dtype=bool) if changed is None else changed
    archetype = archetype_by_rule(customers, reason, changed, playbook).to_numpy(dtype=object)
    chosen = np.full(len(customers), CONTROL, dtype=object)
    for label in reversed([label for label in playbook.actions if label in allowed]):
        fits = (archetype == playbook.actions[label].archetype) & allowed[label].to_numpy()
        chosen[fits] = label
    return chosen
