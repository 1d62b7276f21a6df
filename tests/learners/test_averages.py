"""Average effects and their shrinkage."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from propensity.learners.averages import average_effects, mean_effect, possible_actions, shrink

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
