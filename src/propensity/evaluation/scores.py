"""Doubly robust scores: the one currency in which everything is judged."""

from __future__ import annotations

import numpy as np
import pandas as pd

from propensity.errors import InputError
from propensity.evaluation.checks import checked_table, checked_vectors, column_of


def score_matrix(y: np.ndarray, arm: np.ndarray, propensity: np.ndarray, outcome: np.ndarray) -> np.ndarray:
    """Doubly robust scores from arrays; see `dr_scores`.

    Parameters
    ----------
    y : array (n,)
    arm : int array (n,)
        Column of the served action.
    propensity, outcome : array (n, n actions)
    """
    rows = np.arange(len(y))
    scores = outcome.copy()
    scores[rows, arm] += (y - outcome[rows, arm]) / propensity[rows, arm]
    return scores


def dr_scores(y: object, action: object, propensity: pd.DataFrame, outcome: pd.DataFrame) -> pd.DataFrame:
    """Doubly robust (AIPW) scores of the outcome under each action.

    Parameters
    ----------
    y : array-like (n,)
        Observed outcome.
    action : array-like (n,)
        Label of the served action.
    propensity : DataFrame (n, n actions)
        Logged probability of each action, not clipped.
    outcome : DataFrame (n, n actions)
        Predicted outcome under each action, from models that saw none of these rows.

    Returns
    -------
    DataFrame (n, n actions)
        G(i, a), in units of y. Its mean over people is an unbiased estimate of E[Y(a)] whatever the quality of
        ``outcome``, because the probabilities are known.

    Raises
    ------
    InputError
        Columns or lengths differ, a number is missing, an action is unknown, or a served action had probability 0.

    Notes
    -----
    G(i, a) = m_a(x_i) + 1{A_i = a} / e_a(x_i) (Y_i - m_a(x_i)).

    References
    ----------
    Robins, Rotnitzky, Zhao (1994), JASA 89. Athey, Wager (2021), Policy learning with observational data, ECMA 89.
    """
    actions, served = outcome.columns, np.asarray(action)
    if set(propensity.columns) != set(actions):
        raise InputError(f"propensity: expected columns {', '.join(actions)}, found {', '.join(propensity.columns)}")
    (observed,) = checked_vectors(minimum=0, y=y)
    lengths = (len(observed), len(served), len(propensity), len(outcome))
    if len(set(lengths)) > 1:
        raise InputError(f"y, action, propensity and outcome: expected the same length, found {lengths}")
    arm = column_of(served, actions, "action")
    chances = checked_table(propensity[list(actions)], "propensity")
    if (chances[np.arange(len(arm)), arm] <= 0).any():
        raise InputError("propensity: expected more than 0 for each served action, found 0")
    scores = score_matrix(observed, arm, chances, checked_table(outcome, "outcome"))
    return pd.DataFrame(scores, columns=actions, index=outcome.index)
