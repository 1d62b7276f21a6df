"""Estimated propensities, for data in which nobody logged the chance of what was done."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from propensity.errors import InputError
from propensity.learners.basis import LinearBasis
from propensity.learners.folds import stratified_folds
from propensity.learners.sample import FrameEncoder, as_frame

LEAST_OVERLAP = 0.01


class OverlapWarning(UserWarning):
    """Some people had hardly any chance of an action that they were served: estimates lean on few."""


def estimated_propensity(
    X: pd.DataFrame, action: object, *, control: str = "control", n_folds: int = 5, random_state: int = 0
) -> pd.DataFrame:
    """Chance of each action given the features, each row's by a model that did not see it.

    Only for observational data: known probabilities are never estimated. What decided on contact and is not among the
    features biases every effect, and no method can tell.

    Parameters
    ----------
    X : DataFrame (n, d)
    action : array-like (n,)
        Labels of the served actions.
    control : str
    n_folds : int
    random_state : int

    Returns
    -------
    DataFrame (n, n actions)
        Control first, the others sorted; rows sum to 1. Nothing is clipped.

    Warns
    -----
    OverlapWarning
        The estimated chance of a served action is under 1 % for some rows.

    Notes
    -----
    Multinomial logistic regression on the columns of `LinearBasis`, cross-fitted; its penalty is chosen by log-loss.
    """
    from sklearn.linear_model import LogisticRegressionCV

    X = as_frame(X)
    labels = np.asarray(action).astype(str)
    if labels.shape != (len(X),):
        raise InputError(f"action: expected shape ({len(X)},) as X has rows, found {labels.shape}")
    found = sorted(set(labels.tolist()))
    if control not in found or len(found) < 2:
        raise InputError(f"action: expected {control!r} and at least one action, found only {', '.join(found)}")
    actions = [control, *(a for a in found if a != control)]
    counts = pd.Series(labels).value_counts()
    rare = [f"{a} ({counts[a]})" for a in actions if counts[a] < n_folds]
    if rare:
        raise InputError(f"action: expected at least {n_folds} rows an action, found {', '.join(rare)}")
    encoder = FrameEncoder.fit(X)
    matrix = encoder.transform(X)
    arm = pd.Index(actions).get_indexer(labels)
    fold = stratified_folds(arm, np.zeros(len(arm)), n_folds, random_state)
    chances = np.empty((len(arm), len(actions)))
    for k in range(n_folds):
        rows, held_out = fold != k, fold == k
        basis = LinearBasis.fit(matrix[rows], encoder.categorical)
        model = LogisticRegressionCV(
            Cs=np.logspace(-4, 1, 6),
            cv=3,
            scoring="neg_log_loss",
            max_iter=1000,
            l1_ratios=(0.0,),
            use_legacy_attributes=False,
        )
        model.fit(basis.transform(matrix[rows])[:, 1:], arm[rows])
        chances[held_out] = model.predict_proba(basis.transform(matrix[held_out])[:, 1:])
    served = chances[np.arange(len(arm)), arm]
    if (served < LEAST_OVERLAP).any():
        text = (
            f"propensity: {int((served < LEAST_OVERLAP).sum())} of {len(arm)} people were served an action of which "
            f"they had a chance under {LEAST_OVERLAP:.0%} (the least is {served.min():.2g}); estimates lean on few"
        )
        warnings.warn(text, OverlapWarning, stacklevel=2)
    return pd.DataFrame(chances, columns=actions, index=X.index)
