"""Predicted against observed."""

from __future__ import annotations

import numpy as np
import pytest

from propensity.evaluation import calibration_slope, calibration_table

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
