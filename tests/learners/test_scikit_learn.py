"""Learners as scikit-learn knows estimators. Its checks that fit call ``fit(X, y)``; those that do not are run here."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from learner_cases import draw_experiment
from sklearn.base import clone
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import estimator_checks as checks

from propensity import learners
from propensity.learners import SLearner, UpliftStack
from propensity.learners.base import UpliftLearner

KINDS = [
    kind
    for kind in (getattr(learners, name) for name in learners.__all__)
    if isinstance(kind, type) and issubclass(kind, UpliftLearner)
]
CHECKS = [
    checks.check_estimator_cloneable,
    checks.check_estimator_repr,
    checks.check_no_attributes_set_in_init,
    checks.check_do_not_raise_errors_in_init_or_set_params,
    checks.check_get_params_invariance,
    checks.check_set_params,
    checks.check_parameters_default_constructible,
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_passes_the_checks_that_do_not_fit(check, kind):
    check(kind.__name__, kind())


@pytest.mark.parametrize("kind", KINDS)
def test_knows_its_features_after_fit(kind):
    test = draw_experiment(400, 2, True)
    learner = clone(kind()).fit(test.X, test.action, test.y)
    assert learner.n_features_in_ == 3
    assert learner.feature_names_in_.tolist() == ["taste", "age", "plan"]


def test_ends_a_pipeline_of_arrays_or_of_frames():
    test = draw_experiment(600, 3, True)
    numbers = test.X[["taste", "age"]]
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), SLearner())
    as_arrays = clone(pipeline).fit(numbers, test.action, slearner__y=test.y)
    assert as_arrays[-1].feature_names_in_.tolist() == ["x0", "x1"]
    as_frames = clone(pipeline).set_output(transform="pandas").fit(numbers, test.action, slearner__y=test.y)
    assert as_frames[-1].feature_names_in_.tolist() == ["taste", "age"]
    effect = as_frames.predict(numbers)
    assert list(effect.columns) == ["call", "mail"]
    assert list(effect.index) == list(numbers.index)
    np.testing.assert_array_equal(as_arrays.predict(numbers), effect)


def test_parameters_of_a_stacks_learner_can_be_set_through_a_pipeline():
    pipeline = make_pipeline(FunctionTransformer(), UpliftStack(learners=[SLearner()]))
    pipeline.set_params(upliftstack__n_folds=3)
    assert clone(pipeline)[-1].n_folds == 3


def test_columns_of_an_array_are_numbered():
    X = np.random.default_rng(0).normal(size=(300, 2))
    action = np.where(np.arange(300) % 2 == 0, "control", "call")
    effect = SLearner().fit(X, action, X[:, 0]).effect(X)
    pd.testing.assert_index_equal(effect.index, pd.RangeIndex(300))
