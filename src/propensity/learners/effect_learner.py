"""Bases of the learners that model the effect itself: their outcomes are a control outcome plus the effect."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import lightgbm as lgb
import numpy as np

from propensity.learners._typing import Flags, Matrix, State, Vector
from propensity.learners.averages import possible_actions
from propensity.learners.base import UpliftLearner
from propensity.learners.boosting import EFFECT_SETTINGS, TreeSettings, fit_booster, predict_booster
from propensity.learners.nuisance import N_FOLDS, cross_fitted_outcome, outcome_model
from propensity.learners.s import SLearner
from propensity.learners.sample import Sample, derive_seed

Rows = np.ndarray[tuple[int], np.dtype[np.intp]]


class EffectLearner(UpliftLearner):
    """A learner whose ``outcome`` under control is that of the pooled model of outcomes."""

    def _fit_outcome(self, sample: Sample) -> None:
        model = outcome_model(derive_seed(self.random_state, "outcome"))
        self.outcome_learner_ = model.fit_sample(sample, self.factors_)

    def _outcome(self, X: Matrix) -> Matrix:
        at_control = self.outcome_learner_._outcome_without_contact(X)[:, None]
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


class PseudoOutcomeLearner(EffectLearner):
    """A learner that regresses one pseudo-outcome an action on the features, made from cross-fitted outcomes.

    Parameters
    ----------
    random_state : int
    n_folds : int
        Of the cross-fitted outcomes.
    outcome_settings, effect_settings : TreeSettings, optional
    control : str
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

    @abstractmethod
    def _pseudo_outcomes(self, sample: Sample, mu: Matrix, possible: Flags) -> Iterator[tuple[Rows, Vector, Vector]]:
        """For each action: the rows that tell of it, their pseudo-outcomes and weights.

        ``possible`` (n, actions without control) says where the action and control had a chance: elsewhere nothing is
        told of the effect.
        """

    def _fit(self, sample: Sample) -> None:
        seed = derive_seed(self.random_state, type(self).__name__)
        mu = cross_fitted_outcome(sample, self.factors_, seed, self.n_folds, self.outcome_settings)
        pseudo_outcomes = self._pseudo_outcomes(sample, mu, possible_actions(sample.propensity))
        self.boosters_: list[lgb.Booster] = []
        for a, (rows, target, weight) in enumerate(pseudo_outcomes, start=1):
            self.boosters_.append(
                fit_booster(
                    sample.X[rows],
                    target,
                    binary=False,
                    categorical=sample.encoder.categorical,
                    settings=self.effect_settings or EFFECT_SETTINGS,
                    seed=derive_seed(seed, "effect", a),
                    weight=weight,
                )
            )

    def _effect(self, X: Matrix) -> Matrix:
        return np.column_stack([predict_booster(booster, X) for booster in self.boosters_])

    def _fitted_state(self) -> State:
        return {"boosters": self.boosters_}

    def _take_state(self, state: State) -> None:
        self.boosters_ = list(state["boosters"])
