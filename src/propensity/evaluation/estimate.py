"""An estimate with its interval: what every evaluation returns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from propensity.errors import InputError
from propensity.evaluation.checks import checked_level, checked_vectors, checked_weight


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

    @property
    def z(self) -> float:
        """Value over standard error; 0 where both are 0."""
        if self.standard_error == 0:
            return float(np.copysign(np.inf, self.value)) if self.value else 0.0
        return self.value / self.standard_error

    @property
    def p_value(self) -> float:
        """Two-sided, that the true value is 0 (normal)."""
        return float(2 * stats.norm.sf(abs(self.z)))

    @property
    def p_value_above_0(self) -> float:
        """One-sided, that the true value is not above 0 (normal)."""
        return float(stats.norm.sf(self.z))


def mean_estimate(values: np.ndarray, level: float = 0.95, weight: object = None) -> Estimate:
    """Mean of independent values (n,) with a normal interval (central limit theorem).

    Parameters
    ----------
    values : array (n,)
    level : float
        Confidence of the interval.
    weight : array-like (n,), optional
        People count by their weight; the error allows for weights that differ (Hajek 1971).

    Raises
    ------
    InputError
        Fewer than two values, one that is missing, or a faulty weight.

    Notes
    -----
    Where few people with large values make up the mean (revenue) the interval is too narrow, mostly above:
    ``benchmarks/evaluation_coverage.py`` measures by how much.
    """
    values = np.asarray(values, dtype=float)
    if len(values) < 2:
        raise InputError(f"values: expected at least 2, found {len(values)}")
    checked_vectors(values=values)
    weights = checked_weight(weight, len(values))
    mean = float(values.mean() if weight is None else weights @ values / weights.sum())
    return normal_estimate(mean, values - mean, weights, level)


def normal_estimate(value: float, influence: np.ndarray, weight: np.ndarray, level: float) -> Estimate:
    """An estimate from how much each person (n,) moves it: their influence, of weighted mean 0."""
    return estimate_with_error(value, standard_error(influence, weight), int(np.count_nonzero(weight)), level)


def estimate_with_error(value: float, error: float, n: int, level: float) -> Estimate:
    """An estimate with a normal interval."""
    half = float(stats.norm.ppf(0.5 + checked_level(level) / 2)) * error
    return Estimate(value, error, value - half, value + half, n, level)


def standard_error(influence: np.ndarray, weight: np.ndarray) -> float:
    """Standard error of an estimate from the influence (n,) of each person, of weighted mean 0."""
    n = np.count_nonzero(weight)
    if n < 2:
        raise InputError(f"weight: expected at least 2 people with a weight above 0, found {n}")
    weighted = weight * influence
    return float(np.sqrt(weighted @ weighted * n / (n - 1)) / weight.sum())
