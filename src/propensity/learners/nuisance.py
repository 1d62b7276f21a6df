"""Cross-fitted outcomes: the nuisance that most learners of effects start from."""

from __future__ import annotations

import numpy as np

from propensity.learners._typing import Matrix, Vector
from propensity.learners.boosting import TreeSettings
from propensity.learners.folds import stratified_folds
from propensity.learners.s import SLearner
from propensity.learners.sample import Sample, derive_seed
from propensity.threads import in_parallel

N_FOLDS = 3


def outcome_model(seed: int, settings: TreeSettings | None = None) -> SLearner:
    """The pooled model of outcomes, unfitted.

    Its trees are smoother than those that a pooled learner of effects has by default: where few are left without
    contact, those spread the chances of these few by noise.
    """
    return SLearner(seed, settings or TreeSettings())


def cross_fitted_outcome(
    sample: Sample, factors: Matrix, seed: int, n_folds: int = N_FOLDS, settings: TreeSettings | None = None
) -> Matrix:
    """Expected outcome (n, n actions) of each row under each action, by a pooled model that did not see the row.

    ``sample.outcome`` where it is there already.
    """
    if sample.outcome is not None:
        return sample.outcome
    fold = stratified_folds(sample.arm, sample.y, n_folds, seed)

    def outcome_of(k: int) -> Matrix:
        model = outcome_model(derive_seed(seed, k), settings)
        model.fit_sample(sample.take(np.flatnonzero(fold != k)), factors)
        return model._outcome(sample.X[fold == k])

    mu = np.empty_like(sample.propensity)
    for k, outcome in enumerate(in_parallel(outcome_of, range(n_folds), len(fold))):
        mu[fold == k] = outcome
    return mu


def mean_outcome(outcome: Matrix, propensity: Matrix) -> Vector:
    """m(x) = sum_a e_a(x) mu(x, a): what is expected of each row before its action is drawn, (n,)."""
    return np.asarray((propensity * outcome).sum(axis=1))
