"""Revenue: capped, its parts, and what is left of it after costs."""

from __future__ import annotations

import numpy as np

from propensity.contract import CONTROL
from propensity.playbook import Playbook
from propensity.policy import profit
from propensity_experiments.arms import Arms
from propensity_experiments.contents import MoneyPart


def capped(amounts: np.ndarray) -> tuple[np.ndarray, float | None]:
    """Amounts (n,) with the largest counted as the cap, and the cap."""
    return amounts, None


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
        worth[rows] = profit(
            revenue[rows, None], reactivated[rows, None], unsubscribed[rows, None], playbook, [action]
        )[:, 0]
    return worth


def money_parts(amounts: np.ndarray, arms: Arms) -> tuple[MoneyPart, ...]:
    """Revenue's parts, of any contact and of each arm."""
    return ()
