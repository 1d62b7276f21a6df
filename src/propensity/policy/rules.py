"""The rule playbook: what a company would do without any model. A baseline, and what to fall back on."""

from __future__ import annotations

import numpy as np
import pandas as pd

from propensity.contract import CONTROL
from propensity.playbook import Playbook


def rule_action(customers: pd.DataFrame, playbook: Playbook, allowed: pd.DataFrame) -> np.ndarray:
    """The first allowed action whose archetype answers the reason for churn, (n,) labels.

    Actions count in the order in which the playbook lists them. People without a stated reason are taken to have
    drifted away (``disengaged``); people whose archetype has no allowed action get no contact. An action without a
    column in ``allowed`` is not allowed.
    """
    archetype_of = playbook.archetype_of_reason()
    reason = customers["reason"] if "reason" in customers else pd.Series(None, index=customers.index, dtype="str")
    archetype = reason.fillna("disengaged").map(archetype_of).to_numpy(dtype=object)
    chosen = np.full(len(customers), CONTROL, dtype=object)
    for label in reversed([label for label in playbook.actions if label in allowed]):
        fits = (archetype == playbook.actions[label].archetype) & allowed[label].to_numpy()
        chosen[fits] = label
    return chosen
