"""What each arm brought above the control, with intervals."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from propensity.evaluation.scores import score_matrix


class Lift(NamedTuple):
    """An arm against the control.

    Attributes
    ----------
    action : str
    n, n_control : int
        People who were in the arm and in the control, among those who could have got either.
    mean, control_mean : float
        Outcome per person, in units of the outcome.
    difference, low, high : float
        Mean minus control mean and its interval.
    relative : float
        Difference over control mean; NaN where the control mean is not above 0.
    p_value : float
        Two-sided, that there is no difference.
    level : float
        Confidence of the interval.
    """

    action: str
    n: int
    n_control: int
    mean: float
    control_mean: float
    difference: float
    low: float
    high: float
    relative: float
    p_value: float
    level: float


def lift(
    y: object,
    action: object,
    propensity: pd.DataFrame,
    *,
    control: str = "control",
    level: float = 0.95,
) -> list[Lift]:
    """Difference of each arm from the control.

    Parameters
    ----------
    y : array-like (n,)
        Outcome, 0/1 or an amount.
    action : array-like (n,)
    propensity : DataFrame (n, n actions)
        Logged probabilities.
    control : str
    level : float

    Returns
    -------
    list of Lift
        One an action besides control, in the order of the columns of ``propensity``. Arms with fewer than two people
        are left out.

    Notes
    -----
    Doubly robust scores with the arm's own weighted mean as outcome model: a stabilised inverse-probability estimate
    (Hajek 1971). Only people for whom arm and control both had a chance count. With the same probabilities for
    everybody the difference is that of the arms' plain means.
    """
    outcome, labels = np.asarray(y, dtype=float), np.asarray(action)
    z = float(stats.norm.ppf(0.5 + level / 2))
    results = []
    for label in propensity.columns:
        if label == control:
            continue
        pair = propensity[[control, label]].to_numpy(dtype=float)
        possible = (pair > 0).all(axis=1)
        values, served, chances = outcome[possible], labels[possible], pair[possible]
        weights = np.column_stack([(served == control) / chances[:, 0], (served == label) / chances[:, 1]])
        if ((weights > 0).sum(axis=0) < 2).any():
            continue
        means = (weights * values[:, None]).sum(axis=0) / weights.sum(axis=0)
        arm = np.where(served == control, 0, np.where(served == label, 1, 2))
        # a third column takes everybody in another arm: their scores are the means alone
        padded = np.column_stack([chances, np.ones(len(values))])
        scores = score_matrix(values, arm, padded, np.tile([*means, 0.0], (len(values), 1)))
        gain = scores[:, 1] - scores[:, 0]
        difference = float(means[1] - means[0])
        error = float(gain.std(ddof=1) / np.sqrt(len(gain)))
        results.append(
            Lift(
                action=str(label),
                n=int((served == label).sum()),
                n_control=int((served == control).sum()),
                mean=float(means[1]),
                control_mean=float(means[0]),
                difference=difference,
                low=difference - z * error,
                high=difference + z * error,
                relative=difference / means[0] if means[0] > 0 else float("nan"),
                p_value=float(2 * stats.norm.sf(abs(difference) / error)) if error > 0 else 1.0,
                level=level,
            )
        )
    return results
