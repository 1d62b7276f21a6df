"""Average effects and their shrinkage."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from propensity.learners.averages import average_effects, mean_effect, possible_actions, shrink, shrink_jointly

MEANS = np.array([1.0, 2.0, 6.0])


def test_without_noise_nothing_is_shrunk():
    assert_allclose(shrink(MEANS, np.full(3, 1e-6)), MEANS, rtol=1e-9)


def test_noise_alone_shrinks_to_the_precision_weighted_mean():
    errors = np.array([10.0, 20.0, 40.0])
    centre = np.average(MEANS, weights=errors**-2.0)
    assert_allclose(shrink(MEANS, errors), centre)


@pytest.mark.parametrize(("means", "errors"), [([3.0], [1.0]), ([1.0, 5.0], [0.0, 1.0])], ids=["single", "no error"])
def test_what_cannot_be_shrunk_stays(means, errors):
    given = np.array(means)
    shrunk = shrink(given, np.array(errors))
    assert (shrunk == given).all()
    assert shrunk is not given


def test_equals_the_published_formula_by_hand():
    errors = np.array([0.5, 1.0, 1.0])
    w = np.array([4.0, 1.0, 1.0])
    fixed = (4 * 1 + 2 + 6) / 6
    q = 4 * (1 - fixed) ** 2 + (2 - fixed) ** 2 + (6 - fixed) ** 2
    tau2 = (q - 2) / (6 - (16 + 1 + 1) / 6)
    precision = 1 / (tau2 + 1 / w)
    mu = (precision * MEANS).sum() / precision.sum()
    assert_allclose(shrink(MEANS, errors), mu + tau2 / (tau2 + errors**2) * (MEANS - mu))


def test_shrinking_keeps_the_order_of_equally_sure_averages_and_moves_the_unsure_most():
    shrunk = shrink(MEANS, np.ones(3))
    assert (np.diff(shrunk) > 0).all()
    assert np.ptp(shrunk) < np.ptp(MEANS)
    unsure = shrink(MEANS, np.array([0.5, 0.5, 2.0]))
    assert abs(unsure[2] - 6) > abs(unsure[0] - 1)


def test_shrinking_makes_averages_better():
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 1, (500, 12))
    measured = truth + rng.normal(size=truth.shape)
    shrunk = np.array([shrink(row, np.ones(12)) for row in measured])
    # noise and spread are equal, so that knowing both would halve the error
    assert ((shrunk - truth) ** 2).mean() < 0.65 * ((measured - truth) ** 2).mean()


def test_people_without_a_chance_of_the_action_do_not_count():
    scores = np.array([[0.0, 1, 9], [0, 3, 9], [0, 99, 2], [0, 5, 4]])
    propensity = np.array([[0.5, 0.5, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0.2, 0.4, 0.4]])
    averages = average_effects(scores, propensity)
    assert_allclose(averages.measured, [3.0, 3.0])
    assert_allclose(averages.standard_error, [2 / np.sqrt(3), 1.0])


def test_people_who_could_not_be_held_out_do_not_count():
    propensity = np.array([[0.0, 1.0], [0.5, 0.5]])
    assert possible_actions(propensity).tolist() == [[False], [True]]
    assert mean_effect(np.array([[7.0], [2.0]]), possible_actions(propensity)).tolist() == [2.0]
    assert mean_effect(np.array([[7.0]]), np.array([[False]])).tolist() == [0.0]


CODES = np.array([[-1.0, -1.0], *((m, c) for m in range(4) for c in range(3))])


def noisy_averages(rng, by_factor):
    """True and measured averages of twelve actions; the control's error is in all of them."""
    if by_factor:
        message, channel = rng.normal(size=4), rng.normal(size=3)
        truth = np.array([message[int(m)] + channel[int(c)] for m, c in CODES[1:]])
    else:
        truth = rng.normal(size=12)
    covariance = np.eye(12) + 0.5
    return truth, rng.multivariate_normal(truth, covariance), covariance


def test_factors_make_averages_better_where_actions_share_what_they_do():
    rng = np.random.default_rng(1)
    errors = {"measured": 0.0, "alone": 0.0, "factors": 0.0}
    lost, runs = dict(errors), 100
    for _ in range(runs):
        truth, measured, covariance = noisy_averages(rng, by_factor=True)
        estimates = {
            "measured": measured,
            "alone": shrink_jointly(measured, covariance),
            "factors": shrink_jointly(measured, covariance, CODES),
        }
        for name, estimate in estimates.items():
            # the control's error moves all alike and chooses nothing
            errors[name] += np.var(estimate - truth) / runs
            lost[name] += (truth.max() - truth[estimate.argmax()]) / runs
    assert errors["factors"] < 0.8 * errors["alone"] < 0.8 * errors["measured"]
    # by so few experiments the choice of the best is only told to be no worse
    assert lost["factors"] < lost["measured"] + 0.15


def test_factors_that_say_nothing_do_little_harm():
    rng = np.random.default_rng(2)
    alone, factors = 0.0, 0.0
    for _ in range(150):
        truth, measured, covariance = noisy_averages(rng, by_factor=False)
        alone += np.var(shrink_jointly(measured, covariance) - truth)
        factors += np.var(shrink_jointly(measured, covariance, CODES) - truth)
    assert factors < 1.15 * alone


def test_joint_shrinkage_of_two_arms_is_that_of_their_difference():
    # 6 is the difference and 4 its variance, so restricted likelihood puts the spread at (36 - 4) / 2 = 16
    shrunk = shrink_jointly(np.array([1.0, 7.0]), np.array([[3.0, 1.0], [1.0, 3.0]]))
    assert_allclose(shrunk[1] - shrunk[0], 6 * 32 / 36, rtol=1e-3)


def test_joint_shrinkage_does_not_depend_on_the_unit_or_the_order():
    rng = np.random.default_rng(3)
    _, measured, covariance = noisy_averages(rng, by_factor=True)
    first = shrink_jointly(measured, covariance, CODES)
    assert_allclose(shrink_jointly(64 * measured, 64**2 * covariance, CODES), 64 * first, rtol=1e-6)
    order = rng.permutation(12)
    codes = np.vstack([CODES[:1], CODES[1:][order]])
    assert_allclose(shrink_jointly(measured[order], covariance[np.ix_(order, order)], codes), first[order], rtol=1e-2)


@pytest.mark.parametrize(("means", "errors"), [([3.0], [1.0]), ([1.0, 5.0], [0.0, 1.0])], ids=["single", "no error"])
def test_what_cannot_be_shrunk_jointly_stays(means, errors):
    assert shrink_jointly(np.array(means), np.diag(errors)).tolist() == means
