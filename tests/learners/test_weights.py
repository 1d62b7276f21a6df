"""Sample weights: a person of weight 2 counts like two."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from learner_cases import draw_experiment
from numpy.testing import assert_allclose

from propensity.learners import ConstantLearner, HurdleLearner, SLearner, TLearner, UpliftStack
from propensity.learners.averages import average_effects
from propensity.learners.base import UpliftLearner
from propensity.learners.boosting import TreeSettings
from propensity.learners.sample import check_sample

# leaves are bounded by sums of second derivatives, which weights move as copies do
COUNTED = TreeSettings(n_trees=20, num_leaves=4, learning_rate=0.2, min_data_in_leaf=1, feature_fraction=1.0)


@pytest.fixture(scope="module")
def doubled():
    test = draw_experiment(800, 3, False)
    # few values, so that copies do not move the trees' bins
    few = test.X[["taste", "age"]].clip(-2, 2).round()
    test = replace(test, X=few)
    weight = np.where(np.arange(800) % 3 == 0, 2.0, 1.0)
    rows = np.repeat(np.arange(800), weight.astype(int))
    return test, weight, rows


@pytest.mark.parametrize("kind", [SLearner, TLearner])
def test_weights_equal_duplication(doubled, kind):
    test, weight, rows = doubled
    weighted = kind(0, COUNTED).fit(test.X, test.action, test.y, sample_weight=weight)
    copied = kind(0, COUNTED).fit(test.X.iloc[rows], test.action[rows], test.y[rows])
    assert_allclose(weighted.effect(test.X), copied.effect(test.X), atol=1e-5)
    plain = kind(0, COUNTED).fit(test.X, test.action, test.y).effect(test.X)
    assert abs(weighted.effect(test.X) - plain).to_numpy().max() > 0.05


def test_averages_equal_duplication(doubled):
    test, weight, rows = doubled
    sample = check_sample(test.X, test.action, test.y, test.propensity)
    scores = np.random.default_rng(0).normal(size=sample.propensity.shape)
    weighted = average_effects(scores, sample.propensity, weight=weight)
    copied = average_effects(scores[rows], sample.propensity[rows])
    assert_allclose(weighted.measured, copied.measured)


@pytest.mark.parametrize(
    "learner", [ConstantLearner(), HurdleLearner(), UpliftStack(0, [SLearner(0, COUNTED)], n_folds=3)], ids=repr
)
def test_people_of_weight_0_do_not_count(learner: UpliftLearner):
    test = draw_experiment(1200, 2, False)
    rng = np.random.default_rng(1)
    y = np.where(rng.random(1200) < 0.7, 0.0, np.abs(test.y))
    wild = np.arange(1200) % 2 == 0
    weight = np.where(wild, 0.0, 1.0)
    spoilt = np.where(wild & (test.action == "call"), y + 50, y)
    effect = learner.fit(test.X, test.action, spoilt, sample_weight=weight).effect(test.X)["call"]
    assert abs(effect.mean()) < 3
    assert learner.fit(test.X, test.action, spoilt).effect(test.X)["call"].mean() > 10


def test_weights_of_one_change_nothing():
    test = draw_experiment(600, 3, True)
    plain = SLearner(0, COUNTED).fit(test.X, test.action, test.y).effect(test.X)
    ones = SLearner(0, COUNTED).fit(test.X, test.action, test.y, sample_weight=np.ones(600)).effect(test.X)
    pd.testing.assert_frame_equal(plain, ones)
