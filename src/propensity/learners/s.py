"""The S-learner: one model of the outcome that sees the action as a feature."""

from __future__ import annotations

from typing import Self

import lightgbm as lgb
import numpy as np

from propensity.learners._typing import Matrix, State
from propensity.learners.base import Sample, UpliftLearner, derive_seed
from propensity.learners.boosting import TreeSettings, fit_booster, predict_booster


class SLearner(UpliftLearner):
    """One pooled model of E[Y | X, A], with the action and its factors as features (Kunzel et al. 2019).

    Nuisance: mu(x, a) = E[Y | X=x, A=a]. The effect is mu(x, a) - mu(x, control). Because all arms share their trees,
    what arms have in common is learnt from everybody.

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
        d = sample.X.shape[1]
        self.booster_: lgb.Booster = fit_booster(
            self._with_action(sample.X, sample.arm),
            sample.y,
            binary=sample.binary,
            categorical=[*sample.encoder.categorical, *range(d, d + 1 + self.factors_.shape[1])],
            settings=self.settings or TreeSettings(),
            seed=derive_seed(self.random_state, "s"),
        )

    def _with_action(self, X: Matrix, arm: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Matrix:
        # codes are shifted so that control's -1 is a category of its own, not a missing value
        return np.column_stack([X, arm, self.factors_[arm] + 1])

    def _outcome(self, X: Matrix) -> Matrix:
        columns = [
            predict_booster(self.booster_, self._with_action(X, np.full(len(X), arm)))
            for arm in range(len(self.actions_))
        ]
        return np.column_stack(columns)

    def _effect(self, X: Matrix) -> Matrix:
        outcome = self._outcome(X)
        return outcome[:, 1:] - outcome[:, :1]

    def to_state(self) -> State:
        """The fitted learner as JSON-ready values and Boosters."""
        return {"learner": "SLearner", **self._common_state(), "booster": self.booster_}

    def load_state(self, state: State) -> Self:
        """Take over a state that `to_state` wrote."""
        self._load_common(state)
        self.booster_ = state["booster"]
        return self
