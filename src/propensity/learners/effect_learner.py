"""Base of the learners that model the effect itself: their outcomes are a control outcome plus the effect."""

from __future__ import annotations

import numpy as np

from propensity.learners._typing import Matrix, State
from propensity.learners.base import UpliftLearner
from propensity.learners.boosting import TreeSettings
from propensity.learners.s import SLearner
from propensity.learners.sample import Sample, derive_seed


class EffectLearner(UpliftLearner):
    """A learner whose ``outcome`` under control is an S-learner's."""

    def _fit_outcome(self, sample: Sample) -> None:
        seed = derive_seed(self.random_state, "outcome")
        self.outcome_learner_ = SLearner(seed, TreeSettings(), self.control).fit_sample(sample, self.factors_)

    def _outcome(self, X: Matrix) -> Matrix:
        at_control = self.outcome_learner_._outcome(X)[:, :1]
        return np.hstack([at_control, at_control + self._effect(X)])

    def to_state(self) -> State:
        """The fitted learner as JSON-ready values and Boosters; a member of a stack has no outcome model."""
        outcome = self.outcome_learner_.to_state() if hasattr(self, "outcome_learner_") else None
        return {**super().to_state(), "outcome_learner": outcome}

    def load_state(self, state: State) -> EffectLearner:
        """Take over a state that `to_state` wrote."""
        super().load_state(state)
        if state["outcome_learner"] is not None:
            self.outcome_learner_ = SLearner().load_state(state["outcome_learner"])
        return self
