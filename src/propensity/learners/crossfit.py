"""Out-of-fold predictions: every person is scored by a learner that never saw them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from sklearn.base import clone

from propensity.learners._typing import Matrix, Propensity
from propensity.learners.base import UpliftLearner
from propensity.learners.folds import Folds, stratified_folds
from propensity.learners.nuisance import cross_fitted_outcome, outcome_model
from propensity.learners.sample import Sample, check_sample, derive_seed, factor_codes

Rows = np.ndarray[tuple[int], np.dtype[np.intp]]


def fitted_on(
    learners: Sequence[UpliftLearner], sample: Sample, rows: Rows, factors: Matrix, seed: int
) -> list[UpliftLearner]:
    """Clones of the learners, fitted on some rows; what they start from is learnt once, from these rows too."""
    part = sample.take(rows)
    if sum(learner.uses_outcome for learner in learners) > 1:
        part = replace(part, outcome=cross_fitted_outcome(part, factors, seed))
    return [clone(learner).fit_sample(part, factors) for learner in learners]


def out_of_fold(
    learners: Sequence[UpliftLearner], sample: Sample, factors: Matrix, fold: Folds, seed: int = 0
) -> tuple[list[Matrix], Matrix]:
    """Effects and outcomes of each row from learners that were fitted without it.

    Returns
    -------
    effects : list of array (n, actions without control)
        One a learner.
    outcome : array (n, actions)
        Of `nuisance.outcome_model`.
    """
    n, n_actions = sample.propensity.shape
    effects = [np.empty((n, n_actions - 1)) for _ in learners]
    outcome = np.empty((n, n_actions))
    for k in np.unique(fold):
        rows, held_out = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        fitted = fitted_on(learners, sample, rows, factors, derive_seed(seed, "nuisance", k))
        for effect, learner in zip(effects, fitted, strict=True):
            effect[held_out] = learner._effect(sample.X[held_out])
        model = outcome_model(derive_seed(seed, "outcome", k)).fit_sample(sample.take(rows), factors)
        outcome[held_out] = model._outcome(sample.X[held_out])
    return effects, outcome


def out_of_fold_effect(
    learner: UpliftLearner,
    X: pd.DataFrame,
    action: object,
    y: object,
    *,
    propensity: Propensity = None,
    factors: pd.DataFrame | None = None,
    sample_weight: object = None,
    n_folds: int = 5,
    random_state: int = 0,
) -> pd.DataFrame:
    """Out-of-fold effects of a learner.

    Parameters
    ----------
    learner : UpliftLearner
        Cloned for each fold; the one given stays as it is.
    X, action, y, propensity, factors, sample_weight
        As in `UpliftLearner.fit`.
    n_folds : int
    random_state : int
        Of the folds.

    Returns
    -------
    DataFrame (n, actions without control)
        In units of y.
    """
    sample = check_sample(X, action, y, propensity, control=learner.control, sample_weight=sample_weight)
    fold = stratified_folds(sample.arm, sample.y, n_folds, derive_seed(random_state, "folds"))
    (effect,), _ = out_of_fold([learner], sample, factor_codes(factors, sample.actions), fold)
    return pd.DataFrame(effect, columns=sample.actions[1:], index=X.index)
