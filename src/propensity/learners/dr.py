"""The doubly robust learner: regress doubly robust scores of the effect on the features, one model an action."""

from __future__ import annotations

from typing import ClassVar

import lightgbm as lgb
import numpy as np

from propensity.evaluation.scores import score_matrix
from propensity.learners._typing import Matrix, State
from propensity.learners.averages import possible_actions
from propensity.learners.boosting import EFFECT_SETTINGS, TreeSettings, fit_booster, predict_booster
from propensity.learners.effect_learner import EffectLearner
from propensity.learners.nuisance import N_FOLDS, cross_fitted_outcome
from propensity.learners.sample import Sample, derive_seed


class DRLearner(EffectLearner):
    """Regression of cross-fitted doubly robust scores (Kennedy 2023).

    Nuisances: mu(x, a) = E[Y | X=x, A=a], cross-fitted over ``n_folds``, and e(x, a) = Pr[A=a | X=x], as given.
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

    uses_outcome: ClassVar[bool] = True

    def __init__(
        self,
        random_state: int = 0,
        n_folds: int = N_FOLDS,
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
        mu = cross_fitted_outcome(sample, self.factors_, seed, self.n_folds, self.outcome_settings)
        scores = score_matrix(sample.y, sample.arm, sample.propensity, mu)
        # where the action or control had no chance, the score says nothing about the effect
        can = possible_actions(sample.propensity)
        self.boosters_: list[lgb.Booster] = []
        for a in range(1, len(self.actions_)):
            possible = np.flatnonzero(can[:, a - 1])
            self.boosters_.append(
                fit_booster(
                    sample.X[possible],
                    (scores[:, a] - scores[:, 0])[possible],
                    binary=False,
                    categorical=sample.encoder.categorical,
                    settings=self.effect_settings or EFFECT_SETTINGS,
                    seed=derive_seed(seed, "effect", a),
                    weight=sample.weight[possible],
                )
            )

    def _effect(self, X: Matrix) -> Matrix:
        return np.column_stack([predict_booster(booster, X) for booster in self.boosters_])

    def _fitted_state(self) -> State:
        return {"boosters": self.boosters_}

    def _take_state(self, state: State) -> None:
        self.boosters_ = list(state["boosters"])
