"""The T-learner: one model of the outcome an arm."""

from __future__ import annotations

import lightgbm as lgb
import numpy as np

from propensity.learners._typing import Matrix, State
from propensity.learners.base import UpliftLearner
from propensity.learners.boosting import TreeSettings, fit_booster, predict_booster
from propensity.learners.sample import Sample, derive_seed


class TLearner(UpliftLearner):
    """A model of E[Y | X, A=a] for each arm, fitted on that arm alone (Kunzel et al. 2019).

    Nuisances: mu_a(x) = E[Y | X=x, A=a]. The effect is mu_a(x) - mu_control(x).

    Parameters
    ----------
    random_state : int
    settings : TreeSettings, optional
    control : str

    References
    ----------
    Kunzel, Sekhon, Bickel, Yu (2019), Metalearners for estimating heterogeneous treatment effects, PNAS 116.
    """

    def __init__(self, random_state: int = 0, settings: TreeSettings | None = None, control: str = "control") -> None:
        self.random_state = random_state
        self.settings = settings
        self.control = control

    def _fit(self, sample: Sample) -> None:
        self.boosters_: list[lgb.Booster] = []
        for a in range(len(self.actions_)):
            served = np.flatnonzero(sample.arm == a)
            self.boosters_.append(
                fit_booster(
                    sample.X[served],
                    sample.y[served],
                    # an arm in which nobody (or everybody) responded has no log-odds
                    binary=sample.binary and bool(np.ptp(sample.y[served]) > 0),
                    categorical=sample.encoder.categorical,
                    settings=self.settings or TreeSettings(),
                    seed=derive_seed(self.random_state, "t", a),
                    weight=sample.weight[served],
                )
            )

    def _outcome(self, X: Matrix) -> Matrix:
        return np.column_stack([predict_booster(booster, X) for booster in self.boosters_])

    def _effect(self, X: Matrix) -> Matrix:
        outcome = self._outcome(X)
        return outcome[:, 1:] - outcome[:, :1]

    def _fitted_state(self) -> State:
        return {"boosters": self.boosters_}

    def _take_state(self, state: State) -> None:
        self.boosters_ = list(state["boosters"])
