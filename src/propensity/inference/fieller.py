"""A relative change with an interval that knows that the denominator is uncertain too."""

from __future__ import annotations

import numpy as np
from scipy import stats

from propensity.evaluation.estimate import Estimate


def relative_change(
    mean: float,
    base: float,
    covariance: np.ndarray,
    n: int,
    level: float = 0.95,
    quantiles: tuple[float, float] | None = None,
) -> Estimate | None:
    """Change of a mean as a share of another one.

    Parameters
    ----------
    mean, base : float
        Any unit, the same for both.
    covariance : array (2, 2)
        Of (mean, base).
    n : int
        People it rests on.
    level : float
        Confidence of the interval.
    quantiles : tuple of two floats, optional
        Standard errors by which the lower bound lies below and the upper one above; else the normal ones.

    Returns
    -------
    Estimate or None
        mean / base - 1. None where ``base`` cannot be told from 0 at this level: no finite interval exists then.

    Notes
    -----
    Fieller (1954), Some problems in interval estimation, J. Royal Statistical Society B 16: all ratios r for which
    mean - r base is not told from 0. The standard error is that of the delta method.
    """
    if quantiles is None:
        z = float(stats.norm.ppf(0.5 + level / 2))
        quantiles = z, z
    (v, c), (_, v_base) = covariance
    if base <= 0 or base**2 <= max(quantiles) ** 2 * v_base:
        return None
    ratio = mean / base
    error = np.sqrt(max(v - 2 * ratio * c + ratio**2 * v_base, 0.0)) / base
    low, high = (_bound(mean, base, covariance, sign * z) - 1 for sign, z in zip((-1, 1), quantiles, strict=True))
    return Estimate(ratio - 1, float(error), low, high, n, level)


def _bound(mean: float, base: float, covariance: np.ndarray, z: float) -> float:
    """The ratio at which mean - ratio base lies z standard errors below 0."""
    (v, c), (_, v_base) = covariance
    square, product = base**2 - z**2 * v_base, mean * base - z**2 * c
    root = np.sqrt(max(product**2 - square * (mean**2 - z**2 * v), 0.0))
    return float((product + np.sign(z) * root) / square)
