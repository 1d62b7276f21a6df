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
        arm = np.where(labels == control, 0, np.where(labels == label, 1, 2))
        compared = _compare(outcome, arm, propensity[[control, label]].to_numpy(dtype=float))
        if compared is None:
            continue
        means, gain, possible = compared
        difference = float(means[1] - means[0])
        error = float(gain.std(ddof=1) / np.sqrt(len(gain)))
        results.append(
            Lift(
                action=str(label),
                n=int((arm[possible] == 1).sum()),
                n_control=int((arm[possible] == 0).sum()),
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


def contact_gain(y: object, action: object, propensity: pd.DataFrame, *, control: str = "control") -> np.ndarray:
    """What contact of any kind, as it was handed out, brought each person, as scores whose means are effects.

    Parameters
    ----------
    y, action, propensity, control
        See `lift`.

    Returns
    -------
    array (n,)
        The doubly robust score of being contacted minus that of not being, units of the outcome; NaN where only one of
        the two had a chance, and for everybody where fewer than two people were contacted, or were not. A mean over
        people estimates the effect among them; of everybody it is that of `lift` with all arms as one.
    """
    labels = np.asarray(action)
    left_alone = propensity[control].to_numpy(dtype=float)
    pair = np.column_stack([left_alone, propensity.drop(columns=control).sum(axis=1)])
    gains = np.full(len(labels), np.nan)
    compared = _compare(np.asarray(y, dtype=float), np.where(labels == control, 0, 1), pair)
    if compared is not None:
        _, gain, possible = compared
        gains[possible] = gain
    return gains


def _compare(y: np.ndarray, arm: np.ndarray, pair: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Weighted means of arms 0 and 1 (2 is another one), gains of those who could have got either, and who they are.

    None where one of the two holds fewer than two people.
    """
    possible: np.ndarray = np.all(pair > 0, axis=1)
    values, served, chances = y[possible], arm[possible], pair[possible]
    weights = np.column_stack([(served == k) / chances[:, k] for k in (0, 1)])
    if ((weights > 0).sum(axis=0) < 2).any():
        return None
    means = (weights * values[:, None]).sum(axis=0) / weights.sum(axis=0)
    # a third column takes everybody in another arm: their scores are the means alone
    padded = np.column_stack([chances, np.ones(len(values))])
    scores = score_matrix(values, served, padded, np.tile([*means, 0.0], (len(values), 1)))
    return means, scores[:, 1] - scores[:, 0], possible
