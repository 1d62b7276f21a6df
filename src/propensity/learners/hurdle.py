"""Revenue in two parts: whether somebody comes back, and what a returned customer brings."""

from __future__ import annotations

from typing import Self

import lightgbm as lgb
import numpy as np
from scipy import stats

from propensity.learners._typing import Matrix, State, Vector
from propensity.learners.averages import shrink
from propensity.learners.boosting import TreeSettings, fit_booster, predict_booster
from propensity.learners.sample import derive_seed

AMOUNT_SETTINGS = TreeSettings(n_trees=100, num_leaves=8, learning_rate=0.05, min_data_in_leaf=100, lambda_l2=50.0)
WINSOR_SHARE = 0.99
LEVEL = 0.01
MIN_PER_ACTION = 10
"""Reactivated people from whom an action's own factor is told."""

Arms = np.ndarray[tuple[int], np.dtype[np.intp]]


class AmountModel:
    """Revenue of a customer who came back: E[revenue | reactivated, X], or its mean where people do not differ.

    Fitted on reactivated people only. Amounts above the 99th percentile of the non-zero ones count as that
    percentile while fitting; predictions are scaled so that their mean is the mean of the amounts as they were.
    The trees are used only if, out of fold, they predict better than the mean (one-sided paired test at 1 %).

    What an action brings back may spend more or less than others: each action has a factor, the revenue of the people
    who came back under it over what was predicted of them, shrunk towards the other actions' factors.

    Attributes
    ----------
    mean_ : float
        Mean revenue of a reactivated customer, in currency.
    varies_ : bool
        Whether the trees are used.
    factors_ : array (n actions,)
        Of control and each action.
    """

    def __init__(self, random_state: int = 0, n_folds: int = 5) -> None:
        self.random_state = random_state
        self.n_folds = n_folds

    def fit(
        self,
        X: Matrix,
        amount: Vector,
        arm: Arms,
        n_actions: int,
        categorical: list[int],
        weight: Vector | None = None,
    ) -> Self:
        """Fit on reactivated people.

        Parameters
        ----------
        X : array (n, d)
        amount : array (n,)
            Revenue, in currency.
        arm : int array (n,)
            Position of the served action, control 0.
        n_actions : int
        categorical : list of int
            Positions of categorical columns.
        weight : array (n,), optional
            How much each person counts.
        """
        weight = np.ones(len(amount)) if weight is None else weight
        self.mean_ = float(np.average(amount, weights=weight)) if weight.sum() > 0 else 0.0
        self.relative_error_ = _relative_error(amount, weight, self.mean_)
        self.booster_: lgb.Booster | None = None
        self.scale_ = 1.0
        spent = amount[amount > 0]
        # fewer than this, and no fold holds enough amounts to learn from
        if len(spent) >= 20 * self.n_folds:
            target = np.minimum(amount, np.quantile(spent, WINSOR_SHARE))
            self._fit_trees(X, target, categorical, weight)
        self.varies_ = self.booster_ is not None
        self.factors_ = self._action_factors(amount, self._by_person(X), arm, n_actions, weight)
        return self

    def _action_factors(self, amount: Vector, predicted: Vector, arm: Arms, n_actions: int, weight: Vector) -> Vector:
        """Revenue over prediction of each action's reactivated people, shrunk; an action without enough gets 1."""
        n = np.bincount(arm, minlength=n_actions)
        expected = np.bincount(arm, weights=weight * predicted, minlength=n_actions)
        known = np.flatnonzero((n >= MIN_PER_ACTION) & (expected > 0))
        factors = np.ones(n_actions)
        if len(known):
            factors[known] = np.bincount(arm, weights=weight * amount, minlength=n_actions)[known] / expected[known]
            # the spread of single amounts is taken to be the same under all actions: one may hold few purchases
            spread = np.sqrt(np.average((amount - factors[arm] * predicted) ** 2, weights=weight))
            square = np.bincount(arm, weights=weight**2, minlength=n_actions)
            errors = spread * np.sqrt(square[known]) / expected[known]
            factors[known] = np.maximum(0.0, shrink(factors[known], errors))
        return factors

    def _fit_trees(self, X: Matrix, target: Vector, categorical: list[int], weight: Vector) -> None:
        seed = derive_seed(self.random_state, "amount")
        fold = np.random.default_rng(seed).permutation(len(target)) % self.n_folds
        gain = np.empty(len(target))
        for k in range(self.n_folds):
            rows, held_out = fold != k, fold == k
            booster = self._booster(X[rows], target[rows], categorical, seed, weight[rows])
            mean = np.average(target[rows], weights=weight[rows])
            better = (target[held_out] - mean) ** 2 - (target[held_out] - predict_booster(booster, X[held_out])) ** 2
            gain[held_out] = weight[held_out] * better
        if stats.ttest_1samp(gain, 0.0, alternative="greater").pvalue < LEVEL:
            self.booster_ = self._booster(X, target, categorical, seed, weight)
            self.scale_ = self.mean_ / float(np.average(predict_booster(self.booster_, X), weights=weight))

    def _booster(self, X: Matrix, target: Vector, categorical: list[int], seed: int, weight: Vector) -> lgb.Booster:
        return fit_booster(
            X, target, binary=False, categorical=categorical, settings=AMOUNT_SETTINGS, seed=seed, weight=weight
        )

    def predict(self, X: Matrix) -> Matrix:
        """Expected revenue (n, n actions) of each person who comes back under each action, in currency; at least 0."""
        return self._by_person(X)[:, None] * self.factors_

    def _by_person(self, X: Matrix) -> Vector:
        if self.booster_ is None:
            return np.full(len(X), self.mean_)
        return np.maximum(0.0, self.scale_ * predict_booster(self.booster_, X))

    def to_state(self) -> State:
        """As JSON-ready values and a Booster."""
        return {
            "mean": self.mean_,
            "relative_error": self.relative_error_,
            "scale": self.scale_,
            "booster": self.booster_,
            "factors": self.factors_.tolist(),
        }

    def load_state(self, state: State) -> Self:
        """Take over a state that `to_state` wrote."""
        self.mean_, self.scale_, self.booster_ = state["mean"], state["scale"], state["booster"]
        self.relative_error_ = state["relative_error"]
        self.factors_ = np.asarray(state["factors"], dtype=float)
        self.varies_ = self.booster_ is not None
        return self


def _relative_error(amount: Vector, weight: Vector, mean: float) -> float:
    """Standard error of the mean amount, as a share of it; 0 where nothing was spent."""
    if mean <= 0 or weight.sum() <= 0:
        return 0.0
    return float(np.sqrt((weight**2 * (amount - mean) ** 2).sum()) / weight.sum() / mean)
