"""Gradient boosted trees behind one small door: fit a Booster on a matrix, predict with it.

The defaults are small, slow-learning trees: effects are an order of magnitude smaller than outcomes, and the larger
trees that predict outcomes best overfit effects.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import lightgbm as lgb
import numpy as np

from propensity.learners._typing import Matrix, Vector
from propensity.threads import threads_for


@dataclass(frozen=True)
class TreeSettings:
    """Settings of the boosted trees; see LightGBM for their meaning."""

    n_trees: int = 150
    num_leaves: int = 8
    learning_rate: float = 0.05
    min_data_in_leaf: int = 100
    feature_fraction: float = 0.8
    lambda_l2: float = 10.0
    cat_smooth: float = 50.0


def fit_booster(
    X: Matrix,
    y: Vector,
    *,
    binary: bool,
    categorical: list[int],
    settings: TreeSettings,
    seed: int,
    weight: Vector | None = None,
) -> lgb.Booster:
    """Fit boosted trees.

    Parameters
    ----------
    X : array (n, d)
        Categorical columns hold codes; missing values are NaN.
    y : array (n,)
        Outcome; 0/1 when ``binary``.
    binary : bool
        Log-loss instead of squared loss: predictions are probabilities.
    categorical : list of int
        Positions of categorical columns.
    seed : int
    weight : array (n,), optional
    """
    parameters = {
        **{k: v for k, v in asdict(settings).items() if k != "n_trees"},
        # no leaf may want more rows than a small data set has
        "min_data_in_leaf": max(1, min(settings.min_data_in_leaf, len(y) // 20)),
        "objective": "binary" if binary else "regression",
        "num_threads": threads_for(len(y)),
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbose": -1,
    }
    data = lgb.Dataset(X, label=y, weight=weight, categorical_feature=categorical, params={"verbose": -1})
    return lgb.train(parameters, data, num_boost_round=settings.n_trees)


def predict_booster(booster: lgb.Booster, X: Matrix) -> Vector:
    """Predictions (n,) for a float64 matrix (n, d)."""
    return np.asarray(booster.predict(np.ascontiguousarray(X), num_threads=threads_for(len(X))), dtype=np.float64)
