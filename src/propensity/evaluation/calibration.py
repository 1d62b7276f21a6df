"""Predicted against observed, by groups of equal size."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from propensity.evaluation.estimate import mean_estimate


def calibration_table(predicted: object, observed: object, n_groups: int = 10) -> pd.DataFrame:
    """Predicted against observed means, by groups of similar prediction.

    Parameters
    ----------
    predicted : array-like (n,)
    observed : array-like (n,)
        Outcomes (for a propensity) or doubly robust scores (for an effect), in units of ``predicted``.
    n_groups : int

    Returns
    -------
    DataFrame (up to n_groups, 6)
        ``group`` (1 = lowest), ``n``, ``predicted``, ``observed``, ``low``, ``high`` (95 % interval of observed: of
        Wilson where outcomes are 0 or 1, else normal).
        Fewer groups where many predictions are equal.
    """
    prediction, outcome = np.asarray(predicted, dtype=float), np.asarray(observed, dtype=float)
    edges = np.unique(np.quantile(prediction, np.linspace(0, 1, n_groups + 1)[1:-1]))
    group = np.searchsorted(edges, prediction, side="left") if np.ptp(prediction) > 0 else np.zeros(len(prediction))
    rows = []
    for position, number in enumerate(np.unique(group), start=1):
        members = group == number
        if members.sum() < 2:
            continue
        observed_mean, low, high = _mean_with_interval(outcome[members])
        rows.append((position, int(members.sum()), prediction[members].mean(), observed_mean, low, high))
    return pd.DataFrame(rows, columns=["group", "n", "predicted", "observed", "low", "high"])


def _mean_with_interval(outcome: np.ndarray) -> tuple[float, float, float]:
    if np.isin(outcome, (0.0, 1.0)).all():
        # few people come back: a normal interval would reach below 0, or be empty where nobody did
        interval = stats.binomtest(int(outcome.sum()), len(outcome)).proportion_ci(0.95, method="wilson")
        return float(outcome.mean()), float(interval.low), float(interval.high)
    estimate = mean_estimate(outcome)
    return estimate.value, estimate.low, estimate.high


def calibration_slope(predicted: object, observed: object) -> float:
    """Slope of observed on predicted (1 is perfect, 0 means no information); NaN where predictions never vary."""
    prediction, outcome = np.asarray(predicted, dtype=float), np.asarray(observed, dtype=float)
    # predictions that differ by rounding alone do not vary
    if np.ptp(prediction) <= 1e-9 * np.abs(prediction).max(initial=0.0):
        return float("nan")
    centred = prediction - prediction.mean()
    return float(centred @ outcome) / float(centred @ centred)
