"""How effects that models predict fit what happened to people of whom they learnt nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from propensity.evaluation.estimate import Estimate, mean_estimate

FIT_LEVEL = 0.5
"""Of the interval by which one model's effects are said to fit better: one in four times they are said so by chance.
Of two that are as good it does no harm to take either; one with a part that is wrong is far below."""


def better_fit(
    outcome: np.ndarray,
    action: pd.Series,
    propensity: pd.DataFrame,
    expected: pd.DataFrame,
    effects: Sequence[pd.DataFrame],
    level: float = FIT_LEVEL,
    weight: np.ndarray | None = None,
) -> Estimate | None:
    """How much smaller the first effects' R-loss is than the second's, per person.

    Parameters
    ----------
    outcome : array (n,)
        Of people whom neither model saw.
    action : Series (n,)
        Served labels.
    propensity, expected : DataFrame (n, actions with control)
        Logged chances, and the outcome expected under each action by a model that favours neither.
    effects : two DataFrames (n, actions without control)
        An action that one does not know has no effect by it.
    level : float
        Confidence of the interval.
    weight : array (n,), optional
        Weight of each person.

    Returns
    -------
    Estimate or None
        In squared units of the outcome, at ``level``; None where both predict the same.

    Notes
    -----
    R-loss: (Y - m(X) - sum_a (1{A=a} - e_a(X)) tau_a(X))^2 with m the mean of ``expected`` over the chances (Nie and
    Wager 2021). The best effects make it smallest, whatever the chances were, and in it two models are told apart by
    far fewer people than in the value of their policies, which rests on the few who happened to get what they would.
    """
    left, told = _residuals(outcome, action, propensity, expected, effects)
    first, second = ((left - by_effect) ** 2 for by_effect in told)
    return None if np.array_equal(first, second) else mean_estimate(second - first, level, weight)


def effect_multiple(
    outcome: np.ndarray,
    action: pd.Series,
    propensity: pd.DataFrame,
    expected: pd.DataFrame,
    effect: pd.DataFrame,
    weight: np.ndarray | None = None,
) -> Estimate | None:
    """How many times the predicted effects contact had, all kinds together, with its 95 % interval.

    Parameters
    ----------
    outcome, action, propensity, expected
        See `better_fit`.
    effect : DataFrame (n, actions without control)
    weight : array (n,), optional
        Weight of each person.

    Returns
    -------
    Estimate or None
        1: as predicted, 0: contact does nothing. None where no effect is predicted.

    Notes
    -----
    The multiple b of the predicted effects whose R-loss is smallest: b = sum D r / sum D^2 with r the residual of the
    outcome and D = sum_a (1{A=a} - e_a(X)) tau_a(X); its standard error is that of White (1980). Everybody tells of it,
    whatever they were served, so that it is known far better than the value of a policy. What it cannot tell is whether
    effects are as overstated for the actions that a policy picks as they are for all.
    """
    left, (told,) = _residuals(outcome, action, propensity, expected, [effect])
    counted = told if weight is None else told * weight
    size = float(counted @ told)
    if size == 0:
        return None
    slope = float(counted @ left) / size
    error = float(np.sqrt((counted**2 * (left - slope * told) ** 2).sum())) / size
    half = float(stats.norm.ppf(0.975)) * error
    return Estimate(slope, error, slope - half, slope + half, len(left), 0.95)


def _residuals(
    outcome: np.ndarray,
    action: pd.Series,
    propensity: pd.DataFrame,
    expected: pd.DataFrame,
    effects: Sequence[pd.DataFrame],
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Residual of the outcome (n,), and of each of the effects (n,), as the R-loss has them."""
    actions = list(propensity.columns)
    served = action.to_numpy(dtype=object)[:, None] == np.array(actions, dtype=object)[None, :]
    chances = propensity.to_numpy()
    treatment = pd.DataFrame(served - chances, columns=actions)
    left = outcome - (chances * expected[actions].to_numpy()).sum(axis=1)
    return left, [(treatment[list(e.columns)].to_numpy() * np.nan_to_num(e.to_numpy())).sum(axis=1) for e in effects]
