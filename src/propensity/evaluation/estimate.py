"""An estimate with its interval: what every evaluation returns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats


class Estimate(NamedTuple):
    """A mean with its uncertainty.

    Attributes
    ----------
    value : float
    standard_error : float
    low, high : float
        Bounds of the two-sided interval at ``level``.
    n : int
        People it rests on.
    level : float
        Confidence of the interval, e.g. 0.95.
    """

    value: float
    standard_error: float
    low: float
    high: float
    n: int
    level: float

    def times(self, factor: float) -> Estimate:
        """The same estimate in another unit (per 1,000 people, for n people, ...)."""
        low, high = sorted((self.low * factor, self.high * factor))
        return Estimate(self.value * factor, self.standard_error * abs(factor), low, high, self.n, self.level)


def mean_estimate(values: np.ndarray, level: float = 0.95) -> Estimate:
    """Mean of independent values (n,) with a normal interval (central limit theorem).

    Raises
    ------
    ValueError
        Fewer than two values.
    """
    values = np.asarray(values, dtype=float)
    if len(values) < 2:
        raise ValueError(f"values: expected at least 2, found {len(values)}")
    mean = float(values.mean())
    error = float(values.std(ddof=1) / np.sqrt(len(values)))
    half = float(stats.norm.ppf(0.5 + level / 2)) * error
    return Estimate(mean, error, mean - half, mean + half, len(values), level)
