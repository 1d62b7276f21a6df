"""Out-of-fold predictions: every person is scored by a learner that never saw them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pandas as pd
from sklearn.base import clone

from propensity.learners._typing import Matrix, Propensity
from propensity.learners.base import UpliftLearner
from propensity.learners.folds import Folds, stratified_folds
from propensity.learners.nuisance import cross_fitted_outcome, outcome_model
from propensity.learners.sample import Sample, check_sample, derive_seed, factor_codes
from propensity.threads import in_parallel

Rows = np.ndarray[tuple[int], np.dtype[np.intp]]


def effects_on(
    tested: Rows, learners: Sequence[UpliftLearner], sample: Sample, rows: Rows, factors: Matrix, seed: int
) -> list[Matrix]:
    """Each learner's effects on the tested rows, fitted on other rows; what they start from is learnt once, from these.

    Returns
    -------
    list of array (n tested, actions without control)
    """
    part = sample.take(rows)
    if sum(learner.uses_outcome for learner in learners) > 1:
        part = replace(part, outcome=cross_fitted_outcome(part, factors, seed))

    def effect_of(learner: UpliftLearner) -> Matrix:
        return clone(learner).fit_sample(part, factors)._effect(sample.X[tested])

    return in_parallel(effect_of, learners, len(rows))


def out_of_fold(
    learners: Sequence[UpliftLearner], sample: Sample, factors: Matrix, fold: Folds, seed: int = 0
) -> tuple[list[Matrix], Matrix]:
    """Effects and outcomes of each row from learners that were fitted without it.

    Parameters
    ----------
    learners : sequence of UpliftLearner
    sample : Sample
    factors : array (n actions, n factors)
    fold : array (n,)
        0, 1, ...; at least three.
    seed : int

    Returns
    -------
    effects : list of array (n, actions without control)
        One a learner.
    outcome : array (n, actions)
        Of `nuisance.outcome_model`.

    Notes
    -----
    The outcomes that learners start from are cross-fitted too: a model of outcomes is fitted without folds k and l for
    each pair of them. It serves l when learners are fitted for k, and k when they are fitted for l; the mean of all
    models without k gives the outcomes of k.
    """
    n_folds = int(fold.max()) + 1
    if n_folds < 3:
        raise ValueError(f"fold: expected at least 3 folds, found {n_folds}")
    n, n_actions = sample.propensity.shape
    rows_of = [np.flatnonzero(fold == k) for k in range(n_folds)]
    n_fitted = n - n // n_folds

    def outcomes_without(pair: tuple[int, int]) -> list[Matrix]:
        rows = np.flatnonzero(~np.isin(fold, pair))
        model = outcome_model(derive_seed(seed, "outcome", *pair)).fit_sample(sample.take(rows), factors)
        return [model._outcome(sample.X[rows_of[k]]) for k in pair]

    pairs = list(combinations(range(n_folds), 2))
    without: dict[tuple[int, int], Matrix] = {}
    for (k, m), (of_k, of_m) in zip(pairs, in_parallel(outcomes_without, pairs, n_fitted), strict=True):
        # (l, k): the outcomes of fold l from a model that saw neither l nor k
        without[k, m], without[m, k] = of_k, of_m

    seen = np.empty((n_folds, n, n_actions))
    outcome = np.empty((n, n_actions))
    for k in range(n_folds):
        others = [m for m in range(n_folds) if m != k]
        outcome[rows_of[k]] = np.mean([without[k, m] for m in others], axis=0)
        for m in others:
            seen[k, rows_of[m]] = without[m, k]

    def effect_of(learner: UpliftLearner, k: int) -> Matrix:
        rows = np.flatnonzero(fold != k)
        part = replace(sample.take(rows), outcome=seen[k, rows])
        return clone(learner).fit_sample(part, factors)._effect(sample.X[rows_of[k]])

    effects = [np.empty((n, n_actions - 1)) for _ in learners]
    tasks = list(product(range(len(learners)), range(n_folds)))
    found = in_parallel(lambda task: effect_of(learners[task[0]], task[1]), tasks, n_fitted)
    for (j, k), effect in zip(tasks, found, strict=True):
        effects[j][rows_of[k]] = effect
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
        At least 3.
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
