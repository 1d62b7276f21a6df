"""Revenue in two parts: whether somebody comes back, and what a returned customer brings."""

from __future__ import annotations

from typing import Self

import lightgbm as lgb
import numpy as np
from scipy import stats

from propensity.learners._typing import Matrix, State, Vector
from propensity.learners.base import derive_seed
from propensity.learners.boosting import TreeSettings, fit_booster, predict_booster

AMOUNT_SETTINGS = TreeSettings(n_trees=100, num_leaves=8, learning_rate=0.05, min_data_in_leaf=100, lambda_l2=50.0)
WINSOR_SHARE = 0.99
LEVEL = 0.01


class AmountModel:
    """Revenue of a customer who came back: E[revenue | reactivated, X], or its mean where people do not differ.

    Fitted on reactivated people only. Amounts above the 99th percentile of the non-zero ones count as that
    percentile while fitting; predictions are scaled so that their mean is the mean of the amounts as they were.
    The trees are used only if, out of fold, they predict better than the mean (one-sided paired test at 1 %).

    Attributes
    ----------
    mean_ : float
        Mean revenue of a reactivated customer, in currency.
    varies_ : bool
        Whether the trees are used.
    """

    def __init__(self, random_state: int = 0, n_folds: int = 5) -> None:
        self.random_state = random_state
        self.n_folds = n_folds

    def fit(self, X: Matrix, amount: Vector, categorical: list[int]) -> Self:
        """Fit on reactivated people: X (n, d), amount (n,) in currency, positions of categorical columns."""
        self.mean_ = float(amount.mean()) if len(amount) else 0.0
        self.booster_: lgb.Booster | None = None
        self.scale_ = 1.0
        spent = amount[amount > 0]
        # fewer than this, and no fold holds enough amounts to learn from
        if len(spent) >= 20 * self.n_folds:
            target = np.minimum(amount, np.quantile(spent, WINSOR_SHARE))
            self._fit_trees(X, target, categorical)
        self.varies_ = self.booster_ is not None
        return self

    def _fit_trees(self, X: Matrix, target: Vector, categorical: list[int]) -> None:
        seed = derive_seed(self.random_state, "amount")
        fold = np.random.default_rng(seed).permutation(len(target)) % self.n_folds
        gain = np.empty(len(target))
        for k in range(self.n_folds):
            rows, held_out = fold != k, fold == k
            booster = self._booster(X[rows], target[rows], categorical, seed)
            by_mean = (target[held_out] - target[rows].mean()) ** 2
            gain[held_out] = by_mean - (target[held_out] - predict_booster(booster, X[held_out])) ** 2
        if stats.ttest_1samp(gain, 0.0, alternative="greater").pvalue < LEVEL:
            self.booster_ = self._booster(X, target, categorical, seed)
            self.scale_ = self.mean_ / float(predict_booster(self.booster_, X).mean())

    def _booster(self, X: Matrix, target: Vector, categorical: list[int], seed: int) -> lgb.Booster:
        return fit_booster(X, target, binary=False, categorical=categorical, settings=AMOUNT_SETTINGS, seed=seed)

    def predict(self, X: Matrix) -> Vector:
        """Expected revenue (n,) of each person if they come back, in currency; never negative."""
        if self.booster_ is None:
            return np.full(len(X), self.mean_)
        return np.maximum(0.0, self.scale_ * predict_booster(self.booster_, X))

    def to_state(self) -> State:
        """As JSON-ready values and a Booster."""
        return {"mean": self.mean_, "scale": self.scale_, "booster": self.booster_}

    def load_state(self, state: State) -> Self:
        """Take over a state that `to_state` wrote."""
        self.mean_, self.scale_, self.booster_ = state["mean"], state["scale"], state["booster"]
        self.varies_ = self.booster_ is not None
        return self
