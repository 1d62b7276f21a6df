"""Revenue's two parts, how many buy and how much each of them spends; and what is left of it after costs."""

from __future__ import annotations

import numpy as np

from propensity.contract import CONTROL
from propensity.inference import any_contact, revenue_parts
from propensity.playbook import Playbook
from propensity.policy import profit
from propensity_experiments.arms import Arms
from propensity_experiments.contents import ANY_CONTACT, MoneyPart
from propensity_experiments.effects import CONFIDENCE


def net_values(
    revenue: np.ndarray, reactivated: np.ndarray, unsubscribed: np.ndarray, arms: Arms, playbook: Playbook
) -> np.ndarray:
    """What each person (n,) brought after costs, under what they got; currency, see `policy.profit`.

    An arm that the playbook does not have costs nothing that is known.
    """
    worth = np.empty(len(revenue))
    for position, label in enumerate(arms.labels):
        rows = arms.arm == position
        action = label if label in playbook.actions else CONTROL
        each = (x[rows, None] for x in (revenue, reactivated, unsubscribed))
        worth[rows] = profit(*each, playbook, [action])[:, 0]
    return worth


def money_parts(amounts: np.ndarray, arms: Arms) -> tuple[MoneyPart, ...]:
    """Of the difference in revenue (amounts (n,), capped), for any contact, then each arm."""
    if arms.propensity is None:
        return ()
    together, chances = any_contact(arms.action, arms.propensity, name=ANY_CONTACT)
    found = [
        *revenue_parts(amounts, together, chances, level=CONFIDENCE),
        *revenue_parts(amounts, arms.action, arms.propensity, level=CONFIDENCE),
    ]
    return tuple(MoneyPart(x.action, x.by_more_buyers, x.by_larger_amounts) for x in found)
