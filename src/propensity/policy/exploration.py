"""How much is tried out: the playbook's share while it is open what is best, less once it is known."""

from __future__ import annotations

import numpy as np
from scipy import stats

from propensity.playbook import Learning

OPEN_SHARE = 0.25
"""Chance that another action is better, from which on the whole share is tried out: halfway from sure to a coin."""
LEAST = 0.25
"""Times the playbook's share that are tried out even where it is certain what is best: the world may change."""


def open_share(value: np.ndarray, error: np.ndarray, possible: np.ndarray) -> float:
    """How open it is, on average over people, which action is best.

    Parameters
    ----------
    value, error : array (n, k)
        Of each action against no contact, and its standard error; currency.
    possible : array (n, k) of bool

    Returns
    -------
    float
        Mean chance that the runner-up, or no contact, is better than what looks best; between 0 (certain) and 0.5 (a
        coin would do). 0.5 where nobody may get anything.

    Notes
    -----
    Phi(-(v_1 - v_2) / sqrt(s_1^2 + s_2^2)) of the two best, as if their errors were independent; no contact has the
    value 0 without error.
    """
    someone = possible.any(axis=1)
    if not someone.any():
        return 0.5
    zero = np.zeros((int(someone.sum()), 1))
    values = np.hstack([zero, np.where(possible[someone], value[someone], -np.inf)])
    errors = np.hstack([zero, np.nan_to_num(error[someone])])
    order = np.argsort(-values, axis=1, kind="stable")[:, :2]
    rows = np.arange(len(order))[:, None]
    (first, second), (e1, e2) = values[rows, order].T, errors[rows, order].T
    spread = np.sqrt(e1**2 + e2**2)
    gap = np.divide(first - second, spread, out=np.where(first > second, np.inf, 0.0), where=spread > 0)
    return float(stats.norm.sf(gap).mean())


def adapted(learning: Learning, open_now: float) -> Learning:
    """The playbook's learning, of which so much is tried out as is open (`open_share`), and never more than it says."""
    times = float(np.clip(open_now / OPEN_SHARE, LEAST, 1.0))
    return learning.model_copy(update={"explore_share": learning.explore_share * times})
