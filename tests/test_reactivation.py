"""The chance of coming back is calibrated and never turned around."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from propensity.reactivation import ReactivationPropensity


def draw(n, slope, seed=0, level=-3.0):
    rng = np.random.default_rng(seed)
    predicted = expit(level + 0.8 * rng.normal(size=n))
    return predicted, (rng.random(n) < expit(slope * (logit(predicted) - level) + level)).astype(float)


@pytest.mark.parametrize("slope", [0.5, 1.0, 1.6])
def test_many_returns_decide_the_slope(slope):
    fitted = ReactivationPropensity.fit(*draw(60_000, slope))
    assert fitted.slope == pytest.approx(slope, abs=0.1)


def test_calibrated_chances_sum_to_the_returns():
    predicted, came_back = draw(3000, 0.6)
    fitted = ReactivationPropensity.fit(predicted, came_back)
    assert fitted.without_contact(predicted).mean() == pytest.approx(came_back.mean(), rel=1e-3)


def test_a_dozen_returns_do_not_turn_people_around():
    for seed in range(30):
        predicted, _ = draw(1600, 1.0, seed, level=-4.6)
        came_back = np.zeros(1600)
        # by bad luck those with the least chance came back
        came_back[np.argsort(predicted)[:12]] = 1
        fitted = ReactivationPropensity.fit(predicted, came_back)
        assert fitted.slope >= 0
        came_back = np.random.default_rng(seed).permutation(came_back)
        assert 0.4 < ReactivationPropensity.fit(predicted, came_back).slope < 1.5


@pytest.mark.parametrize("outcome", [0.0, 1.0])
def test_without_variation_predictions_stay(outcome):
    predicted = np.array([0.1, 0.2, 0.3])
    fitted = ReactivationPropensity.fit(predicted, np.full(3, outcome))
    assert fitted.without_contact(predicted) == pytest.approx(predicted)


def test_chances_stay_between_0_and_1():
    fitted = ReactivationPropensity(0.0, 1.0)
    contacted = fitted.with_contact(np.array([0.0, 0.5, 1.0]), np.array([-0.5, 0.1, 0.5]))
    assert contacted.tolist() == pytest.approx([0.0, 0.6, 1.0])
    assert np.isfinite(fitted.without_contact(np.array([0.0, 1.0]))).all()
