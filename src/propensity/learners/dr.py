"""The doubly robust learner: regress doubly robust scores of the effect on the features, one model an action."""

from __future__ import annotations

from typing import Self

import lightgbm as lgb
import numpy as np

from propensity.evaluation.scores import score_matrix
from propensity.learners._typing import Matrix, State
from propensity.learners.base import Sample, UpliftLearner, derive_seed
from propensity.learners.boosting import TreeSettings, fit_booster, predict_booster
from propensity.learners.folds import stratified_folds
from propensity.learners.s import SLearner

EFFECT_SETTINGS = TreeSettings(n_trees=80, num_leaves=4, learning_rate=0.03, min_data_in_leaf=500)


class DRLearner(UpliftLearner):
    """Regression of cross-fitted doubly robust scores (Kennedy 2023).

    Nuisances: mu(x, a) = E[Y | X=x, A=a], cross-fitted over ``n_folds``, and e(x, a) = Pr[A=a | X=x], as logged.
    Pseudo-outcome of action a: G(a) - G(control) with G(a) = mu(x, a) + 1{A=a}/e(x, a) (Y - mu(x, a)).
    The effect is its regression on X.

    Parameters
    ----------
    random_state : int
    n_folds : int
    outcome_settings, effect_settings : TreeSettings, optional
    control : str

    References
    ----------
    Kennedy (2023), Towards optimal doubly robust estimation of heterogeneous causal effects, EJS 17.
    """

    def __init__(
        self,
        random_state: int = 0,
        n_folds: int = 5,
        outcome_settings: TreeSettings | None = None,
        effect_settings: TreeSettings | None = None,
        control: str = "control",
    ) -> None:
        self.random_state = random_state
        self.n_folds = n_folds
        self.outcome_settings = outcome_settings
        self.effect_settings = effect_settings
        self.control = control

    def _fit(self, sample: Sample) -> None:
        seed = derive_seed(self.random_state, "dr")
        fold = stratified_folds(sample.arm, sample.y, self.n_folds, seed)
        mu = np.empty_like(sample.propensity)
        for k in range(self.n_folds):
            rows, held_out = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
            nuisance = SLearner(derive_seed(seed, k), self.outcome_settings, self.control)
            mu[held_out] = nuisance.fit_sample(sample.take(rows), self.factors_)._outcome(sample.X[held_out])
        scores = score_matrix(sample.y, sample.arm, sample.propensity, mu)
        self.outcome_learner_ = SLearner(seed, self.outcome_settings, self.control).fit_sample(sample, self.factors_)
        self.boosters_: list[lgb.Booster] = []
        for a in range(1, len(self.actions_)):
            # where the action or control had no chance, the score says nothing about the effect
            possible = np.flatnonzero((sample.propensity[:, a] > 0) & (sample.propensity[:, 0] > 0))
            self.boosters_.append(
                fit_booster(
                    sample.X[possible],
                    (scores[:, a] - scores[:, 0])[possible],
                    binary=False,
                    categorical=sample.encoder.categorical,
                    settings=self.effect_settings or EFFECT_SETTINGS,
                    seed=derive_seed(seed, "effect", a),
                )
            )

    def _effect(self, X: Matrix) -> Matrix:
        return np.column_stack([predict_booster(booster, X) for booster in self.boosters_])

    def _outcome(self, X: Matrix) -> Matrix:
        at_control = self.outcome_learner_._outcome(X)[:, :1]
        return np.hstack([at_control, at_control + self._effect(X)])

    def to_state(self) -> State:
        """The fitted learner as JSON-ready values and Boosters."""
        return {
            "learner": "DRLearner",
            **self._common_state(),
            "outcome_learner": self.outcome_learner_.to_state(),
            "boosters": self.boosters_,
        }

    def load_state(self, state: State) -> Self:
        """Take over a state that `to_state` wrote."""
        self._load_common(state)
        self.outcome_learner_ = SLearner().load_state(state["outcome_learner"])
        self.boosters_ = list(state["boosters"])
        return self
