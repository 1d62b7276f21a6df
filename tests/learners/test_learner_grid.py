"""What every learner promises, for binary and continuous outcomes, with two and three arms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from learner_cases import LEARNERS, draw_experiment, small_learner
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from propensity.learners import UnseenCategoryWarning, UpliftStack, out_of_fold_effect
from propensity.learners.folds import stratified_folds
from propensity.learners.sample import derive_seed
from propensity.learners.saved import learner_from_state
from propensity.persistence import load_state, save_state

pytestmark = pytest.mark.parametrize("name", LEARNERS)


def over_grid(test):
    kinds = pytest.mark.parametrize("binary", [True, False], ids=["binary", "continuous"])
    return kinds(pytest.mark.parametrize("n_arms", [2, 3])(test))


@over_grid
def test_effect_and_outcome_have_the_promised_shape(fitted, name, binary, n_arms):
    learner, test = fitted(name, binary, n_arms)
    some = test.X.iloc[[5, 3, 900]]
    effect, outcome = learner.effect(some), learner.outcome(some)
    assert list(effect.columns) == sorted(test.effect.columns)
    assert list(outcome.columns) == ["control", *effect.columns]
    assert list(effect.index) == list(outcome.index) == ["person-5", "person-3", "person-900"]
    assert_allclose(effect, outcome[effect.columns].sub(outcome["control"], axis=0), atol=1e-12)


@over_grid
def test_recovers_a_large_effect_that_differs_between_people(fitted, name, binary, n_arms):
    learner, _ = fitted(name, binary, n_arms)
    fresh = draw_experiment(2000, n_arms, binary, seed=9)
    effect = learner.effect(fresh.X)
    # the effect is a step, and a line's best correlation with a step is 0.80
    least = 0.65 if binary else 0.75 if name == "FactoredLinearLearner" else 0.85
    for action in effect:
        assert np.corrcoef(effect[action], fresh.effect[action])[0, 1] > least
        assert effect[action].mean() == pytest.approx(fresh.effect[action].mean(), rel=0.35)


@over_grid
def test_a_row_is_predicted_the_same_in_any_company(fitted, name, binary, n_arms):
    learner, test = fitted(name, binary, n_arms)
    order = np.random.default_rng(1).permutation(len(test.X))
    pd.testing.assert_frame_equal(learner.effect(test.X.iloc[order]), learner.effect(test.X).iloc[order])
    pd.testing.assert_frame_equal(learner.effect(test.X.iloc[:1]), learner.effect(test.X).iloc[:1])


@over_grid
def test_columns_may_come_in_any_order_and_with_others(fitted, name, binary, n_arms):
    learner, test = fitted(name, binary, n_arms)
    mixed = test.X[["plan", "age", "taste"]].assign(unknown="x")
    pd.testing.assert_frame_equal(learner.effect(mixed), learner.effect(test.X))


@over_grid
def test_missing_values_and_unseen_categories_pass_through(fitted, name, binary, n_arms):
    learner, test = fitted(name, binary, n_arms)
    X = test.X.iloc[:20].astype({"plan": object})
    with pytest.warns(UnseenCategoryWarning, match=r"count as missing: plan \(never seen; 20 rows\)"):
        unseen = learner.effect(X.assign(plan="never seen"))
    missing = learner.effect(X.assign(plan=None))
    pd.testing.assert_frame_equal(unseen, missing)
    nothing = X.assign(plan=None, taste=np.nan, age=np.nan)
    assert np.isfinite(learner.effect(nothing).to_numpy()).all()
    assert np.isfinite(learner.outcome(nothing).to_numpy()).all()


@over_grid
def test_a_saved_learner_predicts_the_same_to_the_last_bit(fitted, name, binary, n_arms, tmp_path):
    learner, test = fitted(name, binary, n_arms)
    save_state(learner.to_state(), tmp_path / "saved")
    state = load_state(tmp_path / "saved")
    loaded = UpliftStack().load_state(state) if name == "UpliftStack" else learner_from_state(state)
    assert type(loaded) is type(learner)
    pd.testing.assert_frame_equal(loaded.effect(test.X), learner.effect(test.X), check_exact=True)
    pd.testing.assert_frame_equal(loaded.outcome(test.X), learner.outcome(test.X), check_exact=True)
    if isinstance(learner, UpliftStack):
        for before, after in zip(learner.effect_interval(test.X), loaded.effect_interval(test.X), strict=True):
            pd.testing.assert_frame_equal(before, after, check_exact=True)


@over_grid
def test_the_same_seed_makes_the_same_model(fitted, name, binary, n_arms):
    learner, test = fitted(name, binary, n_arms)
    again = clone(learner).fit(test.X, test.action, test.y, propensity=test.propensity)
    pd.testing.assert_frame_equal(again.effect(test.X), learner.effect(test.X), check_exact=True)


@over_grid
def test_the_order_of_training_rows_matters_little(fitted, name, binary, n_arms):
    learner, test = fitted(name, binary, n_arms)
    order = np.random.default_rng(2).permutation(len(test.X))
    other = clone(learner).fit(test.X.iloc[order], test.action[order], test.y[order], propensity=test.propensity)
    first, second = learner.effect(test.X), other.effect(test.X)
    if name == "SLearner":  # it draws no folds
        assert_allclose(second, first, atol=1e-6)
    for action in first:
        assert np.corrcoef(first[action], second[action])[0, 1] > 0.95
        assert abs(first[action].mean() - second[action].mean()) < 0.1 * first[action].std()


@pytest.mark.parametrize("n_arms", [2, 3])
def test_effects_scale_with_the_outcome(fitted, name, n_arms):
    learner, test = fitted(name, False, n_arms)
    # a power of two, so that even the trees' 32-bit sums scale without rounding
    scaled = clone(learner).fit(test.X, test.action, 64 * test.y, propensity=test.propensity)
    assert_allclose(scaled.effect(test.X), 64 * learner.effect(test.X), rtol=1e-9)


def test_settings_survive_clone_and_nothing_else_does(fitted, name):
    learner, test = fitted(name, True, 2)
    copy = clone(learner)
    assert {k: repr(v) for k, v in copy.get_params().items()} == {k: repr(v) for k, v in learner.get_params().items()}
    for call in (copy.effect, copy.outcome):
        with pytest.raises(NotFittedError, match=f"{name} is not fitted yet; call fit first"):
            call(test.X)
    assert clone(learner).set_params(random_state=7).random_state == 7


def test_propensities_may_be_a_series_a_frame_or_left_out(name):
    test = draw_experiment(600, 3, True)
    by_share = pd.Series(test.action).value_counts(normalize=True)
    wide = pd.DataFrame([by_share] * len(test.X), index=test.X.index)[["mail", "control", "call"]]
    first = small_learner(name).fit(test.X, test.action, test.y).effect(test.X)
    for given in (by_share, wide):
        same = small_learner(name).fit(test.X, test.action, test.y, propensity=given).effect(test.X)
        assert_allclose(same, first, atol=1e-9)


def test_two_arms_ignore_the_factors(name):
    test = draw_experiment(600, 2, True)
    factors = pd.DataFrame({"channel": ["phone"]}, index=["call"], dtype="category")
    plain = small_learner(name).fit(test.X, test.action, test.y)
    with_factors = small_learner(name).fit(test.X, test.action, test.y, factors=factors)
    pd.testing.assert_frame_equal(plain.effect(test.X), with_factors.effect(test.X), check_exact=True)


def test_no_outcome_reaches_the_out_of_fold_effect_of_its_own_person(fitted, name):
    learner, test = fitted(name, False, 2)
    arm = (test.action != "control").astype(int)
    fold = stratified_folds(arm, test.y, 3, derive_seed(0, "folds"))
    shifted = np.where(fold == 0, 10 * test.y + 100 * arm, test.y)

    def out_of_fold(y):
        return out_of_fold_effect(learner, test.X, test.action, y, propensity=test.propensity, n_folds=3)

    before, after = out_of_fold(test.y), out_of_fold(shifted)
    assert list(before.index) == list(test.X.index)
    pd.testing.assert_frame_equal(before[fold == 0], after[fold == 0], check_exact=True)
    assert (after[fold == 1].mean() > before[fold == 1].mean() + 25).all()
