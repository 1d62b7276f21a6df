"""The constant learner: everybody's effect is the average effect."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from propensity.evaluation.scores import score_matrix
from propensity.learners._typing import Matrix, State
from propensity.learners.averages import average_effects
from propensity.learners.effect_learner import EffectLearner
from propensity.learners.nuisance import N_FOLDS, cross_fitted_outcome
from propensity.learners.sample import Sample, derive_seed


class ConstantLearner(EffectLearner):
    """Average effects from doubly robust scores, drawn together across actions and factors (`shrink_jointly`).

    Parameters
    ----------
    random_state : int
    n_folds : int
    control : str
    """

    uses_outcome: ClassVar[bool] = True

    def __init__(self, random_state: int = 0, n_folds: int = N_FOLDS, control: str = "control") -> None:
        self.random_state = random_state
        self.n_folds = n_folds
        self.control = control

    def _fit(self, sample: Sample) -> None:
        mu = cross_fitted_outcome(sample, self.factors_, derive_seed(self.random_state, "constant"), self.n_folds)
        scores = score_matrix(sample.y, sample.arm, sample.propensity, mu)
        self.average_ = average_effects(scores, sample.propensity, self.factors_, sample.weight).shrunk

    def _effect(self, X: Matrix) -> Matrix:
        return np.tile(self.average_, (len(X), 1))

    def _fitted_state(self) -> State:
        return {"average": self.average_.tolist()}

    def _take_state(self, state: State) -> None:
        self.average_ = np.asarray(state["average"], dtype=float)
