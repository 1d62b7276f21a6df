"""How well predicted effects rank people: TOC, AUTOC, Qini.

All take ``gain`` (n,), each person's doubly robust score of the action that they would get minus that of control, and
``priority`` (n,), the prediction that ranks them (highest first). People with equal priority count as one group: their
gains are replaced by the group's mean, so that the order of rows never matters.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from propensity.evaluation.estimate import Estimate, mean_estimate


def qini_curve(gain: object, priority: object) -> pd.DataFrame:
    """Cumulative gain of treating the first share of people.

    Returns
    -------
    DataFrame (n + 1, 3)
        ``share`` of people treated (0 to 1), ``gain`` per person of the whole population, in units of the outcome,
        and ``random`` the gain of treating the same share at random.
    """
    ordered = _ordered_gain(gain, priority)
    n = len(ordered)
    share = np.arange(n + 1) / n
    cumulative = np.concatenate([[0.0], np.cumsum(ordered)]) / n
    return pd.DataFrame({"share": share, "gain": cumulative, "random": share * ordered.mean()})


def autoc_score(gain: object, priority: object, level: float = 0.95) -> Estimate:
    """Area under the targeting operator characteristic.

    AUTOC = integral over q of TOC(q) dq with TOC(q) = mean gain of the first share q minus the mean gain of all.
    It weighs the very first people most: powerful where few respond.

    References
    ----------
    Yadlowsky, Fleming, Shah, Brunskill, Wager (2025), Evaluating treatment prioritization rules via rank-weighted
    average treatment effects, JASA 120.
    """
    return _rank_weighted(gain, priority, _autoc_weights, level)


def qini_score(gain: object, priority: object, level: float = 0.95) -> Estimate:
    """QINI = integral over q of q TOC(q) dq: the area between the Qini curve and random targeting.

    The definition of grf and EconML. Powerful where responses are spread over many people.

    References
    ----------
    Yadlowsky et al. (2025), as for `autoc_score`.
    """
    return _rank_weighted(gain, priority, _qini_weights, level)


def _rank_weighted(gain: object, priority: object, weights: object, level: float) -> Estimate:
    """Mean of weight(rank) x gain; people of equal priority share the mean weight of their ranks."""
    values, ranks = np.asarray(gain, dtype=float), np.asarray(priority, dtype=float)
    if values.shape != ranks.shape or values.ndim != 1:
        raise ValueError(f"gain and priority: expected the same length, found {values.shape} and {ranks.shape}")
    if not (np.isfinite(values).all() and np.isfinite(ranks).all()):
        raise ValueError("gain and priority: expected finite numbers")
    order = np.argsort(-ranks, kind="stable")
    weight = np.empty(len(values))
    weight[order] = weights(len(values))  # type: ignore[operator]
    shared = pd.Series(weight).groupby(ranks).transform("mean").to_numpy()
    # centring changes nothing in the value (weights sum to 0) and removes the mean gain from the error
    return mean_estimate(shared * (values - values.mean()), level)


def _autoc_weights(n: int) -> np.ndarray:
    reciprocal = 1.0 / np.arange(1, n + 1)
    return np.cumsum(reciprocal[::-1])[::-1] - 1.0


def _qini_weights(n: int) -> np.ndarray:
    # the person at rank i counts in the shares i/n, ..., n/n; their mean over ranks is taken off
    return (n - np.arange(n)) / n - (n + 1) / (2 * n)


def _ordered_gain(gain: object, priority: object) -> np.ndarray:
    values, ranks = np.asarray(gain, dtype=float), np.asarray(priority, dtype=float)
    if values.shape != ranks.shape or values.ndim != 1:
        raise ValueError(f"gain and priority: expected the same length, found {values.shape} and {ranks.shape}")
    smoothed = pd.Series(values).groupby(ranks).transform("mean").to_numpy()
    return smoothed[np.argsort(-ranks, kind="stable")]
