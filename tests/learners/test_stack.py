"""The default learner: averages where people do not differ, weighted differences where they do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from learner_cases import draw_experiment, small_learner
from numpy.testing import assert_allclose

from propensity.learners import SLearner, UpliftStack
from propensity.learners.sample import check_sample
from propensity.learners.stack import N_GROUPS, default_learners, stacking_weights


@pytest.fixture(scope="module")
def constant():
    """A stack on people who do not differ, where the actions differ on average."""
    test = draw_experiment(1500, 3, False, seed=3, strength=0.0)
    y = test.y + np.where(test.action == "call", 1.0, 0.0)
    return small_learner("UpliftStack").fit(test.X, test.action, y, propensity=test.propensity), test


@pytest.fixture(scope="module")
def choosy():
    """People of whom those with much taste, who do not like mail, may not get it."""
    test = draw_experiment(4000, 3, False, seed=4)
    rng = np.random.default_rng(5)
    may = (test.X["taste"] < 0.5).to_numpy()
    propensity = pd.DataFrame(
        {"control": 0.3, "call": np.where(may, 0.3, 0.7), "mail": np.where(may, 0.4, 0.0)}, index=test.X.index
    )
    action = np.where(~may & (test.action == "mail"), "call", test.action)
    gain = (action == "call") * test.effect["call"] + (action == "mail") * test.effect["mail"]
    y = test.X["age"].fillna(0) + gain + rng.normal(size=len(may))
    return small_learner("UpliftStack").fit(test.X, action, y, propensity=propensity), test, may


def test_without_support_everybody_gets_the_shrunk_averages(constant):
    stack, test = constant
    assert not stack.heterogeneity_.supported
    assert set(stack.weights_.values()) == {0.0}
    assert (stack.effect(test.X) == stack.averages_.shrunk).all().all()
    assert stack.averages_.shrunk == pytest.approx([1.0, 0.0], abs=0.25)


def test_without_support_people_still_have_an_order(constant):
    stack, test = constant
    order = stack.priority(test.X)
    assert (order.nunique() > 10).all()
    assert list(order.columns) == list(stack.effect(test.X).columns)
    # centred on the averages, as effects are
    assert order.mean().to_numpy() == pytest.approx(stack.averages_.shrunk, abs=0.02)


def test_with_support_the_order_is_that_of_the_effects(fitted):
    stack, test = fitted("UpliftStack", True, 3)
    assert stack.heterogeneity_.supported
    pd.testing.assert_frame_equal(stack.priority(test.X), stack.effect(test.X), check_exact=True)


def test_without_support_the_interval_is_that_of_the_average(constant):
    stack, test = constant
    low, high = stack.effect_interval(test.X.iloc[:3])
    for a, action in enumerate(low):
        half = 1.96 * stack.averages_.standard_error[a]
        measured = stack.averages_.measured[a]
        assert_allclose(low[action], min(measured - half, stack.averages_.shrunk[a]), rtol=1e-4)
        assert_allclose(high[action], max(measured + half, stack.averages_.shrunk[a]), rtol=1e-4)


def test_weights_of_a_supported_difference_are_at_least_0_and_not_all_0(fitted):
    weights = fitted("UpliftStack", False, 3)[0].weights_
    assert set(weights) == {"SLearner", "DRLearner"}
    assert min(weights.values()) >= 0
    assert 0.5 < sum(weights.values()) < 2


def test_the_level_decides():
    test = draw_experiment(600, 2, True, seed=6, strength=0.0)

    def stack(level):
        learner = small_learner("UpliftStack").set_params(heterogeneity_level=level)
        return learner.fit(test.X, test.action, test.y, propensity=test.propensity).heterogeneity_

    always, never = stack(1.0), stack(0.0)
    assert (always.supported, never.supported) == (True, False)
    assert always.p_value == never.p_value


def test_effects_average_to_the_measured_averages_over_everybody(fitted):
    stack, test = fitted("UpliftStack", True, 3)
    assert_allclose(stack.effect(test.X).mean(), stack.averages_.shrunk, atol=1e-9)


def test_effects_average_to_the_measured_averages_over_those_who_could_get_the_action(choosy):
    stack, test, may = choosy
    assert stack.heterogeneity_.supported
    effect = stack.effect(test.X)
    assert effect.loc[may, "mail"].mean() == pytest.approx(stack.averages_.shrunk[1], abs=1e-9)
    assert effect["mail"].mean() != pytest.approx(stack.averages_.shrunk[1], abs=0.1)
    assert stack.averages_.measured[1] == pytest.approx(test.effect.loc[may, "mail"].mean(), abs=0.2)


def test_interval_holds_the_prediction(fitted):
    stack, test = fitted("UpliftStack", False, 3)
    effect = stack.effect(test.X)
    low, high = stack.effect_interval(test.X)
    assert (low <= effect).all().all()
    assert (effect <= high).all().all()
    assert list(low.columns) == list(high.columns) == list(effect.columns)
    for intervals, edges in zip(stack.group_intervals_, stack.group_edges_, strict=True):
        assert intervals.shape == (N_GROUPS, 2)
        assert len(edges) == N_GROUPS - 1


def test_interval_holds_the_mean_true_effect_of_people_with_similar_predictions():
    held, groups = 0, 0
    for seed in range(6):
        test = draw_experiment(1000, 2, False, seed=20 + seed)
        stack = small_learner("UpliftStack").fit(test.X, test.action, test.y, propensity=test.propensity)
        fresh = draw_experiment(4000, 2, False, seed=50 + seed)
        group = np.searchsorted(stack.group_edges_[0], stack.effect(fresh.X)["call"], side="right")
        truth = fresh.effect["call"].groupby(group).mean()
        low, high = stack.group_intervals_[0][truth.index].T
        held += ((low <= truth) & (truth <= high)).sum()
        groups += len(truth)
    assert held / groups > 0.75


def test_a_learner_without_weight_is_not_kept(fitted):
    stack, _ = fitted("UpliftStack", False, 3)
    assert len(stack.members_) == sum(w > 0 for w in stack.weights_.values())


@pytest.mark.parametrize("revenue", [False, True], ids=["yes or no", "revenue"])
def test_default_learners_share_control_and_seed(revenue):
    test = draw_experiment(400, 3, True)
    y = test.y * np.where(test.y == 1, np.arange(400) % 7 + 1.0, 1.0) * (np.arange(400) % 3 == 0) if revenue else test.y
    action = np.where(test.action == "control", "none", test.action)
    sample = check_sample(test.X, action, y, control="none")
    learners = default_learners(sample, np.empty((3, 0)), 3, "none")
    assert ("HurdleLearner" in {type(c).__name__ for c in learners}) == revenue
    assert {c.control for c in learners} == {"none"}
    assert {c.random_state for c in learners} == {3}


def test_very_many_people_are_judged_on_a_part_and_averaged_over_all():
    test = draw_experiment(3000, 3, False, seed=8)
    part = small_learner("UpliftStack").set_params(max_selection_rows=1500)
    part.fit(test.X, test.action, test.y, propensity=test.propensity)
    whole = small_learner("UpliftStack").fit(test.X, test.action, test.y, propensity=test.propensity)
    assert part.heterogeneity_.supported
    assert part.out_of_fold_outcome_.shape == (3000, 3)
    assert_allclose(part.averages_.standard_error, whole.averages_.standard_error, rtol=0.1)
    assert_allclose(part.averages_.measured, whole.averages_.measured, atol=0.1)
    assert np.corrcoef(part.effect(test.X)["call"], whole.effect(test.X)["call"])[0, 1] > 0.95


def test_learners_of_one_kind_keep_their_own_weights():
    test = draw_experiment(800, 2, False, seed=9)
    weights = UpliftStack(0, [SLearner(0), SLearner(1)], n_folds=3).fit(test.X, test.action, test.y).weights_
    assert list(weights) == ["SLearner", "SLearner 2"]


def test_weights_follow_the_data_where_they_are_many_and_are_alike_where_they_are_few():
    rng = np.random.default_rng(10)
    difference = rng.normal(size=(4000, 2))
    residual = difference @ np.array([0.9, 0.1]) + rng.normal(size=4000)
    many = stacking_weights(difference, residual, np.ones(4000))
    assert_allclose(many, [0.9, 0.1], atol=0.06)
    few = stacking_weights(difference[:20] / 10, residual[:20], np.ones(20))
    assert abs(few[0] - few[1]) < 0.2
    assert stacking_weights(difference, -residual, np.ones(4000)).tolist() == [0.0, 0.0]
    twice = np.repeat(np.arange(4000), 1 + (np.arange(4000) % 2))
    weighted = stacking_weights(difference, residual, 1.0 + (np.arange(4000) % 2))
    assert_allclose(weighted, stacking_weights(difference[twice], residual[twice], np.ones(6000)), atol=0.01)


def test_tuned_learners_are_weighed_and_not_tested(fitted):
    plain, test = fitted("UpliftStack", True, 3)
    usual = UpliftStack(0, plain.learners, n_folds=4)
    more = UpliftStack(0, plain.learners, n_folds=4, tuned=[small_learner("RLearner")])
    for stack in (usual, more):
        stack.fit(test.X, test.action, test.y, propensity=test.propensity)
    assert more.heterogeneity_.t_statistic == pytest.approx(usual.heterogeneity_.t_statistic, rel=1e-9)
    assert list(more.weights_) == [*usual.weights_, "RLearner"]
    assert more.weights_["RLearner"] > 0
