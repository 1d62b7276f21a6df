"""Gradient boosted trees behind one small door: fit a Booster on a matrix, predict with it.

The defaults are small, slow-learning trees: effects are an order of magnitude smaller than outcomes, and the larger
trees that predict outcomes best overfit effects.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import lightgbm as lgb
import numpy as np
from scipy.special import expit

from propensity.learners._typing import Matrix, Vector
from propensity.learners.dense_trees import dense_table, under_each
from propensity.threads import threads_for

ROWS_AT_ONCE = 4_096
"""People times arms in one call of LightGBM: for few people calls cost more than trees."""


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
    extra_trees: bool = False


RANDOM_SPLITS = TreeSettings(n_trees=300, min_data_in_leaf=30, lambda_l2=1.0, extra_trees=True)
"""Extremely randomised trees (Geurts, Ernst, Wehenkel 2006): splits at random, so that many trees average out."""
LARGER_RANDOM_SPLITS = replace(RANDOM_SPLITS, num_leaves=16)

EFFECT_SETTINGS = TreeSettings(n_trees=80, num_leaves=4, learning_rate=0.03, min_data_in_leaf=500)
"""For regressions of the effect itself, which is far noisier than the outcome."""


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
    parameters = {**tree_parameters(settings, len(y), seed), "objective": "binary" if binary else "regression"}
    data = lgb.Dataset(X, label=y, weight=weight, categorical_feature=categorical, params={"verbose": -1})
    return lgb.train(parameters, data, num_boost_round=settings.n_trees)


def tree_parameters(settings: TreeSettings, n: int, seed: int) -> dict[str, object]:
    """Settings as LightGBM's parameters for n rows: all but the objective and the number of rounds."""
    return {
        **{k: v for k, v in asdict(settings).items() if k != "n_trees"},
        # no leaf may want more rows than a small data set has
        "min_data_in_leaf": max(1, min(settings.min_data_in_leaf, n // 20)),
        "num_threads": threads_for(n),
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbose": -1,
    }


def predict_booster(booster: lgb.Booster, X: Matrix) -> Vector:
    """Predictions (n,) for a float64 matrix (n, d)."""
    return np.asarray(booster.predict(np.ascontiguousarray(X), num_threads=threads_for(len(X))), dtype=np.float64)


def predict_raw(booster: lgb.Booster, X: Matrix) -> Matrix:
    """Raw scores (n, classes) for a float64 matrix (n, d)."""
    table = dense_table(booster, X)
    if table is not None:
        return table.raw_scores(X)
    scores = booster.predict(np.ascontiguousarray(X), num_threads=threads_for(len(X)), raw_score=True)
    return np.asarray(scores, dtype=np.float64).reshape(len(X), booster.num_model_per_iteration())


def predict_under_arms(booster: lgb.Booster, X: Matrix, arms: Matrix) -> Matrix:
    """Predictions (n, n arms) of a booster of `fit_booster` whose last columns are those of an arm.

    Parameters
    ----------
    booster : Booster
    X : array (n, d)
        Its first columns.
    arms : array (n arms, further columns)
        Always the same for a booster.
    """
    table = dense_table(booster, X, arms)
    if table is not None:
        scores = table.raw_scores(X)
        return expit(scores) if table.chances else scores
    if len(X) * len(arms) <= ROWS_AT_ONCE:
        return predict_booster(booster, under_each(X, arms)).reshape(len(X), len(arms))
    predicted, features = np.empty((len(X), len(arms))), np.hstack([X, np.empty((len(X), arms.shape[1]))])
    for position, arm in enumerate(arms):
        features[:, X.shape[1] :] = arm
        predicted[:, position] = predict_booster(booster, features)
    return predicted


COMPONENT_SETTINGS = TreeSettings(
    n_trees=100, num_leaves=6, learning_rate=0.03, min_data_in_leaf=200, lambda_l2=50.0, extra_trees=True
)
"""For effects that are sums of parts: ``n_trees`` is for each part."""


def fit_components(
    X: Matrix,
    residual: Vector,
    served: Matrix,
    *,
    weight: Vector,
    categorical: list[int],
    settings: TreeSettings | None,
    seed: int,
) -> lgb.Booster:
    """Fit functions g_c(x), one a part, that minimise sum_i w_i (r_i - sum_c V_ic g_c(x_i))^2.

    Parameters
    ----------
    X : array (n, d)
    residual : array (n,)
        r.
    served : array (n, parts)
        V.
    weight : array (n,)
        w.
    categorical : list of int
    settings : TreeSettings, optional
    seed : int
    """
    settings = settings or COMPONENT_SETTINGS
    n_parts = served.shape[1]
    curvature = weight[:, None] * served**2

    def gradient(predicted: Matrix, _: lgb.Dataset) -> tuple[Matrix, Matrix]:
        error = (served * predicted.reshape(served.shape)).sum(axis=1) - residual
        slope = (weight * error)[:, None] * served
        return (slope[:, 0], curvature[:, 0]) if n_parts == 1 else (slope, curvature)

    parameters = {
        **tree_parameters(settings, len(residual), seed),
        "objective": gradient,
        "num_class": n_parts,
        # a row tells of a part as much as its service was in doubt
        "min_sum_hessian_in_leaf": 0.05 * settings.min_data_in_leaf,
        "boost_from_average": False,
    }
    data = lgb.Dataset(X, label=residual, categorical_feature=categorical, params={"verbose": -1})
    return lgb.train(parameters, data, num_boost_round=settings.n_trees)


def predict_components(booster: lgb.Booster, X: Matrix, n_parts: int) -> Matrix:
    """g_c(x) of `fit_components`, (n, parts)."""
    return predict_raw(booster, X).reshape(len(X), n_parts)
