"""scikit-uplift behind our signature says what scikit-uplift says, for any number of actions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from learner_cases import OUTCOME_TREES, draw_experiment
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklift import models

from propensity.errors import InputError, JobError
from propensity.learners.sample import UnseenCategoryWarning, check_sample, derive_seed
from propensity.learners.scikit_uplift import (
    BoostedTrees,
    ClassTransformationLearner,
    SoloModelLearner,
    TwoModelsLearner,
)

ADAPTERS = {
    "SoloModel": SoloModelLearner,
    "TwoModels": TwoModelsLearner,
    "ClassTransformation": ClassTransformationLearner,
}
every_adapter = pytest.mark.parametrize("name", ADAPTERS)
BINARY = draw_experiment(3000, 3, True, seed=4)


def adapter(name, seed=0):
    return ADAPTERS[name](seed, OUTCOME_TREES)


@pytest.fixture(scope="module")
def fitted():
    def fit(name):
        return adapter(name).fit(BINARY.X, BINARY.action, BINARY.y, propensity=BINARY.propensity)

    return {name: fit(name) for name in ADAPTERS}


@every_adapter
def test_effect_and_outcome_have_the_promised_shape(fitted, name):
    some = BINARY.X.iloc[[7, 2, 1500]]
    effect, outcome = fitted[name].effect(some), fitted[name].outcome(some)
    assert list(effect.columns) == ["call", "mail"]
    assert list(outcome.columns) == ["control", "call", "mail"]
    assert list(effect.index) == list(outcome.index) == ["person-7", "person-2", "person-1500"]
    np.testing.assert_allclose(effect, outcome[["call", "mail"]].sub(outcome["control"], axis=0), atol=1e-12)
    assert outcome["control"].between(0, 1).all()


@every_adapter
def test_recovers_a_large_effect_that_differs_between_people(fitted, name):
    fresh = draw_experiment(2000, 3, True, seed=9)
    effect = fitted[name].effect(fresh.X)
    for action in effect:
        assert np.corrcoef(effect[action], fresh.effect[action])[0, 1] > 0.65
        assert effect[action].mean() == pytest.approx(fresh.effect[action].mean(), rel=0.35)


@pytest.mark.parametrize("name", ["SoloModel", "TwoModels"])
def test_recovers_an_effect_on_a_continuous_outcome(name):
    test, fresh = draw_experiment(3000, 3, False), draw_experiment(2000, 3, False, seed=9)
    effect = adapter(name).fit(test.X, test.action, test.y).effect(fresh.X)
    for action in effect:
        assert np.corrcoef(effect[action], fresh.effect[action])[0, 1] > 0.85


@every_adapter
@pytest.mark.parametrize("action", ["call", "mail"])
def test_says_what_scikit_uplift_says_when_called_by_hand(fitted, name, action):
    pair = np.isin(BINARY.action, ["control", action])
    encoded = check_sample(BINARY.X, BINARY.action, BINARY.y).X
    treated = (BINARY.action[pair] == action).astype(float)
    position = ["control", "call", "mail"].index(action)

    def trees(*part):
        return BoostedTrees(derive_seed(0, ADAPTERS[name].__name__, position, *part), (2,), OUTCOME_TREES)

    if name == "TwoModels":
        model = models.TwoModels(trees(), trees("again")).fit(encoded[pair], BINARY.y[pair], treated)
    elif name == "SoloModel":
        model = models.SoloModel(trees()).fit(encoded[pair], BINARY.y[pair], treated)
    else:
        share = BINARY.propensity[action] / (BINARY.propensity[action] + BINARY.propensity["control"])
        weight = 0.5 / np.where(treated == 1, share, 1 - share)
        model = models.ClassTransformation(trees())
        model.fit(encoded[pair], BINARY.y[pair], treated, estimator_fit_params={"sample_weight": weight})
    np.testing.assert_array_equal(fitted[name].effect(BINARY.X)[action], model.predict(encoded))


def test_class_transformation_is_right_where_treatment_is_rare():
    rng = np.random.default_rng(0)
    n = 20_000
    X = pd.DataFrame({"noise": rng.normal(size=n)})
    action = rng.choice(["control", "call"], n, p=[0.9, 0.1])
    y = (rng.random(n) < np.where(action == "call", 0.5, 0.2)).astype(float)
    propensity = pd.Series({"control": 0.9, "call": 0.1})
    effect = adapter("ClassTransformation").fit(X, action, y, propensity=propensity).effect(X)
    assert effect["call"].mean() == pytest.approx(0.3, abs=0.05)


@every_adapter
def test_missing_values_and_unseen_categories_pass_through(fitted, name):
    X = BINARY.X.iloc[:20].astype({"plan": object})
    with pytest.warns(UnseenCategoryWarning, match="never seen; 20 rows"):
        unseen = fitted[name].effect(X.assign(plan="never seen"))
    missing = fitted[name].effect(X.assign(plan=None))
    pd.testing.assert_frame_equal(unseen, missing)
    assert np.isfinite(fitted[name].effect(X.assign(plan=None, taste=np.nan, age=np.nan)).to_numpy()).all()


@pytest.mark.parametrize("name", ["SoloModel", "TwoModels"])
def test_categories_are_not_taken_for_numbers(name):
    # the effect lies in the middle category, between two without: one cut on a number cannot single it out
    rng = np.random.default_rng(0)
    plan = pd.Categorical(rng.choice(["a", "b", "c"], 6000))
    action = rng.choice(["control", "call"], 6000)
    y = ((plan == "b") & (action == "call")) + rng.normal(size=6000) * 0.1
    learner = adapter(name).fit(pd.DataFrame({"plan": plan}), action, y)
    assert all(model_trees.categorical == (0,) for model_trees in _estimators(learner))
    effect = learner.effect(pd.DataFrame({"plan": pd.Categorical(["a", "b", "c"])}))["call"]
    np.testing.assert_allclose(effect, [0, 1, 0], atol=0.05)


def _estimators(learner):
    for model in learner.models_:
        yield from (v for v in vars(model).values() if isinstance(v, BoostedTrees))


@every_adapter
def test_people_who_could_not_get_an_action_do_not_count_for_its_effect(name):
    barred = (BINARY.X["plan"] == "pro").to_numpy()
    keep = ~(barred & (BINARY.action == "mail"))
    action, X, y, barred = BINARY.action[keep], BINARY.X[keep], BINARY.y[keep], barred[keep]
    propensity = pd.DataFrame([BINARY.propensity] * len(X), index=X.index)
    propensity.loc[barred] = [0.5, 0.5, 0.0]
    every = adapter(name).fit(X, action, y, propensity=propensity).effect(X)
    some = adapter(name).fit(X, action, np.where(barred, 1 - y, y), propensity=propensity).effect(X)
    pd.testing.assert_series_equal(every["mail"], some["mail"], check_exact=True)
    assert (every["call"] != some["call"]).any()


@every_adapter
def test_the_same_seed_makes_the_same_model(fitted, name):
    again = clone(fitted[name]).fit(BINARY.X, BINARY.action, BINARY.y, propensity=BINARY.propensity)
    pd.testing.assert_frame_equal(again.effect(BINARY.X), fitted[name].effect(BINARY.X), check_exact=True)


def test_class_transformation_refuses_what_is_not_0_or_1():
    with pytest.raises(InputError, match="y: ClassTransformation expects only 0 and 1, found 2; use SoloModelLearner"):
        adapter("ClassTransformation").fit(BINARY.X, BINARY.action, BINARY.y * 2)


@every_adapter
def test_baselines_are_not_saved(fitted, name):
    with pytest.raises(JobError, match=r"is a baseline and cannot be saved; fit an UpliftStack to save a model"):
        fitted[name].to_state()
    with pytest.raises(JobError, match=r"is a baseline and cannot be loaded"):
        adapter(name).load_state({})


@every_adapter
def test_an_unfitted_adapter_says_so(name):
    with pytest.raises(NotFittedError, match="call fit first"):
        adapter(name).effect(BINARY.X)
