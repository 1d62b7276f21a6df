"""The R-learner: regress the residual of the outcome on the residual of the action, one model an action."""

from __future__ import annotations

from typing import ClassVar

import lightgbm as lgb
import numpy as np

from propensity.learners._typing import Matrix, State
from propensity.learners.averages import possible_actions
from propensity.learners.boosting import EFFECT_SETTINGS, TreeSettings, fit_booster, predict_booster
from propensity.learners.effect_learner import EffectLearner
from propensity.learners.nuisance import N_FOLDS, cross_fitted_outcome
from propensity.learners.sample import Sample, derive_seed


class RLearner(EffectLearner):
    """Minimises the R-loss (Nie and Wager 2021, equation 4), each action against control.

    Among the people who were served action a or control, with e = Pr[A=a | X, A in {a, control}] from the given
    propensities and m(x) = e mu(x, a) + (1 - e) mu(x, control), cross-fitted: (Y - m(X)) / (1{A=a} - e) is regressed
    on X with weights (1{A=a} - e)^2.

    Parameters
    ----------
    random_state : int
    n_folds : int
    outcome_settings, effect_settings : TreeSettings, optional
    control : str

    References
    ----------
    Nie, Wager (2021), Quasi-oracle estimation of heterogeneous treatment effects, Biometrika 108.
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
        seed = derive_seed(self.random_state, "r")
        mu = cross_fitted_outcome(sample, self.factors_, seed, self.n_folds, self.outcome_settings)
        can = possible_actions(sample.propensity)
        self.boosters_: list[lgb.Booster] = []
        for a in range(1, len(self.actions_)):
            pair = np.flatnonzero(np.isin(sample.arm, (0, a)) & can[:, a - 1])
            e = sample.propensity[pair, a] / (sample.propensity[pair, a] + sample.propensity[pair, 0])
            treatment = (sample.arm[pair] == a) - e
            residual = sample.y[pair] - e * mu[pair, a] - (1 - e) * mu[pair, 0]
            self.boosters_.append(
                fit_booster(
                    sample.X[pair],
                    residual / treatment,
                    binary=False,
                    categorical=sample.encoder.categorical,
                    settings=self.effect_settings or EFFECT_SETTINGS,
                    seed=derive_seed(seed, "effect", a),
                    weight=sample.weight[pair] * treatment**2,
                )
            )

    def _effect(self, X: Matrix) -> Matrix:
        return np.column_stack([predict_booster(booster, X) for booster in self.boosters_])

    def _fitted_state(self) -> State:
        return {"boosters": self.boosters_}

    def _take_state(self, state: State) -> None:
        self.boosters_ = list(state["boosters"])
