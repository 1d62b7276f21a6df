"""Predicted against observed, by groups of equal size and by regression."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from propensity.evaluation.checks import checked_level, checked_vectors, checked_weight, varying
from propensity.evaluation.estimate import Estimate
from propensity.evaluation.groups import group_means, groups_of_equal_size
from propensity.evaluation.regression import regress


class CalibrationTest(NamedTuple):
    """Whether observed values follow predicted ones.

    Attributes
    ----------
    slope : Estimate
        Of observed on predicted; 1 is perfect, below 1 the predictions are too spread out.
    difference : Estimate
        Mean of observed minus mean of predicted; 0 is perfect.
    p_value : float
        That the slope is 1 and the difference 0, both at once (Wald, 2 degrees of freedom).
    """

    slope: Estimate
    difference: Estimate
    p_value: float


def calibration_table(
    predicted: object, observed: object, n_groups: int = 10, weight: object = None, level: float = 0.95
) -> pd.DataFrame:
    """Predicted against observed means, by groups of similar prediction.

    Parameters
    ----------
    predicted : array-like (n,)
    observed : array-like (n,)
        Outcomes (for a propensity) or doubly robust scores (for an effect), in units of ``predicted``.
    n_groups : int
    weight : array-like (n,), optional
        Weight of each person; groups are of equal weight.
    level : float
        Confidence of the intervals.

    Returns
    -------
    DataFrame (up to n_groups, 6)
        ``group`` (1 = lowest), ``n``, ``predicted``, ``observed``, ``low``, ``high`` (interval of observed: of Wilson
        where all outcomes are 0 or 1, else normal).
        Fewer groups where many predictions are equal. A group of one person has no interval and is left out.

    Raises
    ------
    InputError
        Lengths differ, a number is missing, or a weight is faulty.
    """
    prediction, outcome = checked_vectors(predicted=predicted, observed=observed, minimum=1)
    weights = checked_weight(weight, len(outcome))
    group = groups_of_equal_size(prediction, n_groups, weights)
    size = int(group.max()) + 1
    observed_means = group_means(outcome, group, size, weights)
    quantile = float(stats.norm.ppf(0.5 + checked_level(level) / 2))
    if ((outcome == 0) | (outcome == 1)).all():
        # few people come back: a normal interval would reach below 0, or be empty where nobody did
        effective = observed_means.weight**2 / np.bincount(group, weights**2, size)
        low, high = _wilson(observed_means.mean, effective, quantile)
    else:
        half = quantile * observed_means.standard_error
        low, high = observed_means.mean - half, observed_means.mean + half
    table = pd.DataFrame(
        {
            "group": np.arange(1, size + 1),
            "n": observed_means.n,
            "predicted": group_means(prediction, group, size, weights).mean,
            "observed": observed_means.mean,
            "low": low,
            "high": high,
        }
    )
    return table[table["n"] > 1].reset_index(drop=True)


def calibration_slope(predicted: object, observed: object, weight: object = None) -> float:
    """Slope of observed on predicted (1 is perfect, 0 means no information); NaN where predictions never vary."""
    prediction, outcome = checked_vectors(predicted=predicted, observed=observed, minimum=1)
    weights = checked_weight(weight, len(outcome))
    if not varying(prediction[weights > 0]):
        return float("nan")
    centred = weights * (prediction - np.average(prediction, weights=weights))
    return float(centred @ outcome) / float(centred @ prediction)


def calibration_test(
    predicted: object, observed: object, level: float = 0.95, weight: object = None
) -> CalibrationTest:
    """Regress observed on predicted, with intervals.

    Parameters
    ----------
    predicted : array-like (n,)
        Made by a model that saw none of these people.
    observed : array-like (n,)
        Outcomes or doubly robust scores, in units of ``predicted``.
    level : float
        Confidence of the intervals.
    weight : array-like (n,), optional
        Weight of each person.

    Raises
    ------
    InputError
        Lengths differ, a number is missing, all predictions are equal, or a weight is faulty.

    Notes
    -----
    Least squares with errors robust to unequal variances (HC3).

    References
    ----------
    Cox (1958), Two further applications of a model for binary regression, Biometrika 45.
    """
    prediction, outcome = checked_vectors(predicted=predicted, observed=observed)
    fitted = regress(outcome - prediction, prediction, weight, level)
    error = fitted.slope
    both = np.array([fitted.mean.value, error.value])
    # the pseudo-inverse: predictions that equal what was observed leave no variance
    p_value = stats.chi2.sf(both @ np.linalg.pinv(fitted.covariance, hermitian=True) @ both, 2)
    slope = error._replace(value=1 + error.value, low=1 + error.low, high=1 + error.high)
    return CalibrationTest(slope, fitted.mean, float(p_value))


def _wilson(share: np.ndarray, n: np.ndarray, quantile: float) -> tuple[np.ndarray, np.ndarray]:
    centre = share + quantile**2 / (2 * n)
    half = quantile * np.sqrt(share * (1 - share) / n + (quantile / (2 * n)) ** 2)
    scale = 1 + quantile**2 / n
    # rounding must not leave 0 % or 100 % outside
    return np.minimum((centre - half) / scale, share), np.maximum((centre + half) / scale, share)
