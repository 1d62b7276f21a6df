"""Revenue's two parts: how many buy, and how much each of them spends."""

from __future__ import annotations

import numpy as np

from propensity.inference import any_contact, revenue_parts
from propensity_experiments.arms import Arms
from propensity_experiments.contents import ANY_CONTACT, MoneyPart
from propensity_experiments.effects import CONFIDENCE


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
