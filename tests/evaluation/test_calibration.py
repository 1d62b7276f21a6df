"""Predicted against observed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from propensity.evaluation import calibration_slope, calibration_table, calibration_test, mean_estimate

PREDICTED = np.random.default_rng(0).gamma(2.0, size=1000)


def test_perfect_predictions_have_slope_1_and_lie_on_the_diagonal():
    assert calibration_slope(PREDICTED, PREDICTED) == pytest.approx(1.0)
    table = calibration_table(PREDICTED, PREDICTED)
    assert table["predicted"].tolist() == pytest.approx(table["observed"].tolist())
    assert table["predicted"].is_monotonic_increasing


@pytest.mark.parametrize("slope", [-1.0, 0.0, 0.5, 2.0])
def test_slope_is_that_of_the_regression(slope):
    observed = 3 + slope * PREDICTED
    assert calibration_slope(PREDICTED, observed) == pytest.approx(slope, abs=1e-12)
    noisy = observed + np.random.default_rng(1).normal(size=1000)
    assert calibration_slope(PREDICTED, noisy) == pytest.approx(np.polyfit(PREDICTED, noisy, 1)[0])


def test_slope_of_constant_predictions_is_missing():
    assert np.isnan(calibration_slope(np.ones(5), np.arange(5.0)))


def test_groups_are_of_equal_size_and_hold_everybody():
    table = calibration_table(PREDICTED, PREDICTED)
    assert table["group"].tolist() == list(range(1, 11))
    assert set(table["n"]) == {100}


def test_equal_predictions_stay_together():
    predicted = np.repeat([0.1, 0.2, 0.9], [500, 300, 200])
    observed = np.repeat([1.0, 2.0, 3.0], [500, 300, 200])
    table = calibration_table(predicted, observed)
    assert table["n"].tolist() == [500, 300, 200]
    assert table["observed"].tolist() == [1.0, 2.0, 3.0]
    one = calibration_table(np.full(50, 0.3), np.arange(50.0))
    assert one[["group", "n", "observed"]].to_numpy().tolist() == [[1, 50, 24.5]]


def test_intervals_hold_the_true_mean_as_often_as_they_say():
    rng = np.random.default_rng(2)
    held = []
    for _ in range(60):
        chance = rng.random(1000)
        table = calibration_table(chance, (rng.random(1000) < chance).astype(float))
        held.append(((table["low"] <= table["predicted"]) & (table["predicted"] <= table["high"])).mean())
    assert np.mean(held) == pytest.approx(0.95, abs=0.035)


def test_intervals_of_chances_are_those_of_wilson():
    predicted, observed = np.repeat([0.1, 0.2], 40), np.r_[np.zeros(40), np.ones(37), np.zeros(3)]
    table = calibration_table(predicted, observed, level=0.9)
    for row, successes in zip(table.itertuples(), (0, 37), strict=True):
        expected = stats.binomtest(successes, 40).proportion_ci(0.9, method="wilson")
        assert (row.low, row.high) == pytest.approx((expected.low, expected.high))


def test_intervals_of_scores_are_those_of_their_mean():
    rng = np.random.default_rng(3)
    predicted, observed = rng.normal(size=200), rng.normal(size=200)
    table = calibration_table(predicted, observed, n_groups=4)
    order = np.argsort(predicted)
    for row, members in zip(table.itertuples(), np.split(order, 4), strict=True):
        expected = mean_estimate(observed[members])
        assert (row.n, row.predicted) == (50, pytest.approx(predicted[members].mean()))
        assert (row.observed, row.low, row.high) == pytest.approx((expected.value, expected.low, expected.high))


@pytest.mark.parametrize("binary", [False, True])
def test_weights_count_as_so_many_equal_people(binary):
    rng = np.random.default_rng(4)
    predicted, times = rng.integers(0, 50, 300) / 50, rng.integers(0, 4, 300)
    observed = (rng.random(300) < predicted).astype(float) if binary else rng.normal(size=300)
    weighted = calibration_table(predicted, observed, weight=times)
    repeated = calibration_table(np.repeat(predicted, times), np.repeat(observed, times))
    assert np.allclose(weighted[["predicted", "observed"]], repeated[["predicted", "observed"]])
    assert weighted["n"].sum() == (times > 0).sum()
    assert ((weighted["high"] - weighted["low"]) > (repeated["high"] - repeated["low"])).all()
    slope = calibration_slope(predicted, observed, weight=times)
    assert slope == pytest.approx(calibration_slope(np.repeat(predicted, times), np.repeat(observed, times)))
    assert slope == pytest.approx(calibration_test(predicted, observed, weight=times).slope.value)


@pytest.mark.parametrize("measure", [calibration_table, calibration_slope])
def test_refuses_what_cannot_be_compared(measure):
    with pytest.raises(ValueError, match="predicted and observed: expected the same length"):
        measure([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="predicted and observed: expected finite numbers, found 2 missing"):
        measure([1.0, np.nan], [np.inf, 1.0])
    with pytest.raises(ValueError, match="weight: expected finite numbers from 0 up"):
        measure([1.0, 2.0], [1.0, 2.0], weight=[-1.0, 1.0])
