"""Out-of-fold predictions: every person is scored by a learner that never saw them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.base import clone

from propensity.learners._typing import Matrix, Propensity
from propensity.learners.base import Sample, UpliftLearner, check_sample, derive_seed, factor_codes
from propensity.learners.folds import Folds, stratified_folds


def out_of_fold(learner: UpliftLearner, sample: Sample, factors: Matrix, fold: Folds) -> tuple[Matrix, Matrix]:
    """Effects (n, actions without control) and outcomes (n, actions) of each row from learners fitted without it."""
    n, n_actions = sample.propensity.shape
    effect, outcome = np.empty((n, n_actions - 1)), np.empty((n, n_actions))
    for k in np.unique(fold):
        rows, held_out = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        fitted = clone(learner).fit_sample(sample.take(rows), factors)
        effect[held_out] = fitted._effect(sample.X[held_out])
        outcome[held_out] = fitted._outcome(sample.X[held_out])
    return effect, outcome


def out_of_fold_effect(
    learner: UpliftLearner,
    X: pd.DataFrame,
    action: object,
    y: object,
    *,
    propensity: Propensity = None,
    factors: pd.DataFrame | None = None,
    n_folds: int = 5,
    random_state: int = 0,
) -> pd.DataFrame:
    """Out-of-fold effects of a learner.

    Parameters
    ----------
    learner : UpliftLearner
        Cloned for each fold; the one given stays as it is.
    X, action, y, propensity, factors
        As in `UpliftLearner.fit`.
    n_folds : int
    random_state : int
        Of the folds.

    Returns
    -------
    DataFrame (n, actions without control)
        In units of y.
    """
    sample = check_sample(X, action, y, propensity, control=learner.control)
    fold = stratified_folds(sample.arm, sample.y, n_folds, derive_seed(random_state, "folds"))
    effect, _ = out_of_fold(learner, sample, factor_codes(factors, sample.actions), fold)
    return pd.DataFrame(effect, columns=sample.actions[1:], index=X.index)
