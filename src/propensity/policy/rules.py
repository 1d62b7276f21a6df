"""The rule playbook: what a company would do without any model. A baseline, and what to fall back on."""

from __future__ import annotations

import numpy as np
import pandas as pd

from propensity.contract import CONTROL
from propensity.playbook import Playbook


def rule_action(customers: pd.DataFrame, playbook: Playbook, allowed: pd.DataFrame) -> np.ndarray:
    """The first allowed action whose archetype answers the stated reason, (n,) labels.

    Actions count in the order in which the playbook lists them. People without a stated reason, or whose archetype
    has no allowed action, get no contact; where a playbook's archetypes answer one reason only, everybody is taken to
    have it.
    """
    archetype_of = playbook.archetype_of_reason()
    if len(set(archetype_of.values())) == 1:
        archetype = np.full(len(customers), next(iter(archetype_of.values())), dtype=object)
    elif "reason" in customers:
        archetype = customers["reason"].map(archetype_of).to_numpy(dtype=object)
    else:
        archetype = np.full(len(customers), None, dtype=object)
    chosen = np.full(len(customers), CONTROL, dtype=object)
    for label in reversed(playbook.actions):
        fits = (archetype == playbook.actions[label].archetype) & allowed[label].to_numpy()
        chosen[fits] = label
    return chosen
