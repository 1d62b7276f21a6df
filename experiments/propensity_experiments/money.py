"""Revenue: capped, and its parts."""

from __future__ import annotations

import numpy as np

from propensity_experiments.arms import Arms
from propensity_experiments.contents import MoneyPart


def capped(amounts: np.ndarray) -> tuple[np.ndarray, float | None]:
    """Amounts (n,) with the largest counted as the cap, and the cap."""
    return amounts, None


def money_parts(amounts: np.ndarray, arms: Arms) -> tuple[MoneyPart, ...]:
    """Revenue's parts, of any contact and of each arm."""
    return ()
