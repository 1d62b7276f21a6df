"""Learners for revenue: most people bring nothing, and a few bring very much."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from sklearn.base import clone

from propensity.errors import InputError
from propensity.learners._typing import Matrix, State, Vector
from propensity.learners.base import UpliftLearner
from propensity.learners.boosting import TreeSettings
from propensity.learners.effect_learner import EffectLearner
from propensity.learners.hurdle import AmountModel
from propensity.learners.s import SLearner
from propensity.learners.sample import Sample

ZERO_SHARE = 0.5
WINSOR_SHARE = 0.99


def is_zero_inflated(y: Vector) -> bool:
    """Whether most outcomes are 0, the others are above it, and these differ: revenue, not a yes or no."""
    some = y[y != 0]
    return len(some) > 0 and (y == 0).mean() > ZERO_SHARE and bool((some > 0).all()) and np.ptp(some) > 0


class HurdleLearner(UpliftLearner):
    """Whether somebody buys under each action, times what a buyer brings.

    E[Y | X, A] = Pr[Y > 0 | X, A] (a pooled model, see `SLearner`) x E[Y | Y > 0, X] f(A) (see `AmountModel`).

    Parameters
    ----------
    random_state : int
    settings : TreeSettings, optional
        Of the model of buying.
    control : str

    References
    ----------
    Cragg (1971), Some statistical models for limited dependent variables, Econometrica 39.
    """

    def __init__(self, random_state: int = 0, settings: TreeSettings | None = None, control: str = "control") -> None:
        self.random_state = random_state
        self.settings = settings
        self.control = control

    def _fit(self, sample: Sample) -> None:
        if (sample.y < 0).any():
            raise InputError(f"y: expected amounts of at least 0, found {int((sample.y < 0).sum())} below")
        buys = sample.y > 0
        buying = replace(sample, y=buys.astype(float), outcome=None)
        self.buying_ = SLearner(self.random_state, self.settings, self.control).fit_sample(buying, self.factors_)
        self.amount_ = AmountModel(self.random_state).fit(
            sample.X[buys],
            sample.y[buys],
            sample.arm[buys],
            len(self.actions_),
            sample.encoder.categorical,
            weight=sample.weight[buys],
        )

    def _outcome(self, X: Matrix) -> Matrix:
        return self.buying_._outcome(X) * self.amount_.predict(X)

    def _effect(self, X: Matrix) -> Matrix:
        outcome = self._outcome(X)
        return outcome[:, 1:] - outcome[:, :1]

    def _fitted_state(self) -> State:
        return {"buying": self.buying_.to_state(), "amount": self.amount_.to_state()}

    def _take_state(self, state: State) -> None:
        self.buying_ = SLearner().load_state(state["buying"])
        self.amount_ = AmountModel().load_state(state["amount"])


class WinsorisedLearner(EffectLearner):
    """Another learner, fitted on outcomes of which the most extreme hundredth is drawn in.

    Outcomes further from 0 than the 99th percentile of the sizes of the non-zero ones count as that percentile.
    Effects are those on the winsorised outcome; `UpliftStack` scales them to the outcome itself.

    Parameters
    ----------
    learner : UpliftLearner, optional
        Default: an `SLearner`.
    random_state : int
    control : str

    References
    ----------
    Dixon (1960), Simplified estimation from censored normal samples, Annals of Mathematical Statistics 31.
    """

    def __init__(self, learner: UpliftLearner | None = None, random_state: int = 0, control: str = "control") -> None:
        self.learner = learner
        self.random_state = random_state
        self.control = control

    def _fit(self, sample: Sample) -> None:
        sizes = np.abs(sample.y[sample.y != 0])
        self.limit_ = float(np.quantile(sizes, WINSOR_SHARE)) if len(sizes) else 0.0
        drawn_in = replace(sample, y=np.clip(sample.y, -self.limit_, self.limit_), outcome=None)
        inner = SLearner(self.random_state, control=self.control) if self.learner is None else clone(self.learner)
        self.inner_ = inner.fit_sample(drawn_in, self.factors_)

    def _effect(self, X: Matrix) -> Matrix:
        return self.inner_._effect(X)

    def _fitted_state(self) -> State:
        return {"inner": self.inner_.to_state(), "limit": self.limit_}

    def _take_state(self, state: State) -> None:
        from propensity.learners.saved import learner_from_state

        self.inner_ = learner_from_state(state["inner"])
        self.limit_ = state["limit"]
