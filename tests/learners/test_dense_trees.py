"""Trees as tables: the same scores as LightGBM's, whatever a row holds, and LightGBM itself where they would differ."""

from __future__ import annotations

import lightgbm as lgb
import numpy as np
import pytest
from numpy.testing import assert_allclose

from propensity.learners import dense_trees
from propensity.learners.boosting import TreeSettings, fit_booster, predict_raw, predict_under_arms
from propensity.learners.dense_trees import DenseTrees, UnknownTreesError, dense_table, under_each

SETTINGS = TreeSettings(n_trees=60, num_leaves=12, min_data_in_leaf=20, cat_smooth=1.0)
N_CODES = 9
ARMS = np.array([[0.0, 0.0, -1.0], [1.0, 1.0, 0.0], [1.0, 2.0, 0.0], [1.0, 1.0, 1.0]])
"""Whether there is contact, and two factors, of which the first is a category."""


def rows(n, seed=0, missing=0.1):
    """A number that may be missing, one that never is, a code that may be missing."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.normal(size=n), rng.normal(size=n), rng.integers(0, N_CODES, n)])
    X[rng.random(n) < missing, 0] = np.nan
    X[rng.random(n) < missing, 2] = np.nan
    return X


def outcome(X, seed=1):
    rng = np.random.default_rng(seed)
    bend = np.nan_to_num(X[:, 0], nan=2.0) * (X[:, 1] > 0.3) + np.isin(X[:, 2], (1, 4, 8))
    return bend + rng.normal(0, 0.3, len(X))


def strange(n):
    """Rows as training had none: missing where nothing was missing, unknown and negative codes, huge numbers."""
    X = rows(n, seed=5, missing=0.3)
    X[::7, 1] = np.nan
    X[::5, 2] = N_CODES + 40
    X[::11, 2] = -1
    X[::13, 0] = 1e300
    return X


@pytest.fixture(scope="module", params=[False, True], ids=["regression", "binary"])
def pooled(request):
    X = under_each(rows(1500), ARMS)
    y = outcome(X) + X[:, 3] * (X[:, 1] > 0) + 0.5 * X[:, 4] * X[:, 0].clip(0)
    y = np.nan_to_num(y)
    y = (y > np.median(y)).astype(float) if request.param else y
    return fit_booster(X, y, binary=request.param, categorical=[2, 4], settings=SETTINGS, seed=0)


@pytest.mark.parametrize("asked", [rows(600, seed=3), strange(600)], ids=["usual", "strange"])
def test_scores_under_arms_are_those_of_lightgbm(pooled, asked):
    expected = pooled.predict(under_each(asked, ARMS), raw_score=True).reshape(-1, len(ARMS))
    assert (np.ptp(expected, axis=1) > 0).mean() > 0.9
    assert_allclose(DenseTrees(pooled, 3, ARMS).raw_scores(asked), expected, atol=1e-12)


def test_predictions_under_arms_are_the_same_for_few_and_for_many(pooled, monkeypatch):
    asked = strange(300)
    alone = pooled.predict(under_each(asked, ARMS)).reshape(-1, len(ARMS))
    assert_allclose(predict_under_arms(pooled, asked, ARMS), alone, rtol=1e-15)
    monkeypatch.setattr("propensity.learners.boosting.ROWS_AT_ONCE", 100)
    assert_allclose(predict_under_arms(pooled, asked, ARMS), alone, rtol=1e-15)
    monkeypatch.setattr(dense_trees, "SCORES_ENOUGH", 100)
    assert dense_table(pooled, asked, ARMS) is not None
    assert_allclose(predict_under_arms(pooled, asked, ARMS), alone, rtol=1e-11)


def test_scores_of_classes_are_those_of_lightgbm():
    X = rows(3000)
    data = lgb.Dataset(X, label=np.digitize(outcome(X), [0.2, 0.8]), categorical_feature=[2])
    booster = lgb.train({"objective": "multiclass", "num_class": 3, "verbose": -1, "num_threads": 1}, data, 30)
    asked = strange(dense_trees.SCORES_ENOUGH // 3 + 1)
    expected = booster.predict(asked, raw_score=True)
    assert_allclose(DenseTrees(booster, 3).raw_scores(asked), expected, atol=1e-12)
    assert dense_table(booster, asked) is not None
    assert_allclose(predict_raw(booster, asked), expected, atol=1e-12)


def test_trees_without_a_split_are_a_constant():
    X = rows(500)
    booster = fit_booster(X, np.full(500, 2.5), binary=False, categorical=[2], settings=SETTINGS, seed=0)
    assert_allclose(DenseTrees(booster, 3).raw_scores(X), booster.predict(X)[:, None])


@pytest.mark.parametrize("settings", [{"linear_tree": True}, {"zero_as_missing": True}])
def test_trees_of_another_kind_are_left_to_lightgbm(settings):
    X = np.nan_to_num(rows(20_000))
    parameters = {"objective": "regression", "verbose": -1, "num_threads": 1, **settings}
    booster = lgb.train(parameters, lgb.Dataset(X, label=outcome(X), params=parameters), 5)
    with pytest.raises(UnknownTreesError):
        DenseTrees(booster, 3)
    assert dense_table(booster, X) is None
    assert_allclose(predict_raw(booster, X)[:, 0], booster.predict(X))


def test_a_table_that_scores_otherwise_is_not_used(pooled, monkeypatch):
    monkeypatch.setattr(dense_trees, "_tables", type(dense_trees._tables)())
    asked = rows(dense_trees.SCORES_ENOUGH)
    monkeypatch.setattr(DenseTrees, "raw_scores", lambda self, X: np.zeros((len(X), len(ARMS))))
    assert dense_table(pooled, asked, ARMS) is None
