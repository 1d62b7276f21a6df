"""Estimates, their p-values and weighted means."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from propensity.evaluation import Estimate, mean_estimate


def test_p_values_agree_with_the_interval():
    found = mean_estimate(np.array([0.0, 1.0, 2.0, 3.0, 5.0]))
    assert found.z == found.value / found.standard_error
    assert found.p_value == pytest.approx(2 * stats.norm.sf(found.z))
    assert found.p_value_above_0 == pytest.approx(found.p_value / 2)
    assert found.times(-3).p_value == pytest.approx(found.p_value)
    assert found.times(-3).p_value_above_0 == pytest.approx(1 - found.p_value / 2)
    edge = mean_estimate(np.array([0.0, 1.0, 2.0, 3.0, 5.0]), level=1 - found.p_value)
    assert edge.low == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(("value", "two_sided", "above"), [(0.0, 1.0, 0.5), (2.0, 0.0, 0.0), (-2.0, 0.0, 1.0)])
def test_p_values_without_any_error(value, two_sided, above):
    estimate = Estimate(value, 0.0, value, value, 5, 0.95)
    assert (estimate.p_value, estimate.p_value_above_0) == (two_sided, above)


def test_weights_count_as_so_many_equal_people_in_the_mean():
    values, times = np.array([1.0, 2.0, 4.0, 8.0]), np.array([3, 0, 1, 2])
    found = mean_estimate(values, weight=times)
    assert found.value == pytest.approx(np.repeat(values, times).mean())
    assert found.n == 3
    assert mean_estimate(values, weight=np.full(4, 0.1)) == pytest.approx(mean_estimate(values))


def test_intervals_with_weights_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(0)
    held = []
    for _ in range(800):
        weight = rng.gamma(1.0, size=300)
        # heavier people have more: the weighted mean is 2, the plain one 1
        found = mean_estimate(weight + rng.normal(size=300), weight=weight)
        held.append(found.low <= 2.0 <= found.high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.025)


@pytest.mark.parametrize(
    ("values", "level", "sentence"),
    [
        ([1.0], 0.95, "values: expected at least 2, found 1"),
        ([1.0, np.nan], 0.95, "values: expected finite numbers, found 1 missing or infinite"),
        ([1.0, 2.0], 95, "level: expected a confidence between 0 and 1, found 95"),
    ],
)
def test_refuses_what_has_no_mean_or_interval(values, level, sentence):
    with pytest.raises(ValueError, match=sentence):
        mean_estimate(np.array(values), level)
