"""The best linear predictor of the effect, given predicted effects."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from propensity.evaluation import best_linear_predictor, calibration_test


def people(rng, n=400, slope=0.5):
    predicted = rng.gamma(2.0, size=n)
    # noise grows with the prediction: errors must be robust
    return 1 + slope * predicted + predicted * rng.normal(size=n), predicted


@pytest.mark.parametrize("weighted", [False, True])
def test_equals_the_regression_of_statsmodels(weighted):
    rng = np.random.default_rng(0)
    gain, predicted = people(rng)
    weight = rng.random(400) + 0.5 if weighted else np.ones(400)
    found = best_linear_predictor(gain, predicted, weight=weight if weighted else None)
    centred = predicted - np.average(predicted, weights=weight)
    fitted = sm.WLS(gain, sm.add_constant(centred), weights=weight).fit(cov_type="HC3")
    for k, estimate in enumerate((found.mean_effect, found.heterogeneity)):
        assert estimate.value == pytest.approx(fitted.params[k])
        assert estimate.standard_error == pytest.approx(fitted.bse[k])
        assert (estimate.low, estimate.high) == pytest.approx(tuple(fitted.conf_int()[k]))
        assert estimate.p_value == pytest.approx(fitted.pvalues[k])
    assert found.p_value == pytest.approx(fitted.pvalues[1] / 2)


def test_calibration_is_wrong_where_the_wald_test_of_statsmodels_says_so():
    gain, predicted = people(np.random.default_rng(1), slope=0.9)
    found = calibration_test(predicted, gain)
    fitted = sm.OLS(gain - predicted, sm.add_constant(predicted - predicted.mean())).fit(cov_type="HC3")
    wald = fitted.wald_test(np.eye(2), use_f=False, scalar=True)
    assert found.p_value == pytest.approx(float(wald.pvalue))
    assert found.slope.value == pytest.approx(fitted.params[1] + 1)
    assert found.difference.value == pytest.approx((gain - predicted).mean())


def test_moves_with_units_as_a_regression_does():
    gain, predicted = people(np.random.default_rng(2))
    first, other = best_linear_predictor(gain, predicted), best_linear_predictor(100 * gain, 7 + 10 * predicted)
    assert other.mean_effect == pytest.approx(first.mean_effect.times(100))
    assert other.heterogeneity == pytest.approx(first.heterogeneity.times(10))
    assert other.p_value == pytest.approx(first.p_value)


def test_predictions_that_order_people_wrongly_are_no_evidence():
    gain, predicted = people(np.random.default_rng(3))
    assert best_linear_predictor(gain, predicted).p_value < 0.01
    assert best_linear_predictor(gain, -predicted).p_value > 0.99


def test_both_tests_declare_at_their_level_where_nothing_is_to_be_found():
    rng = np.random.default_rng(4)
    blank = [best_linear_predictor(*people(rng, slope=0.0)).p_value for _ in range(800)]
    perfect = []
    for _ in range(800):
        gain, predicted = people(rng, slope=1.0)
        perfect.append(calibration_test(predicted, gain - 1).p_value)
    assert np.mean(np.array(blank) < 0.05) == pytest.approx(0.05, abs=0.025)
    assert np.mean(np.array(perfect) < 0.05) == pytest.approx(0.05, abs=0.025)


def test_perfect_predictions_are_found_perfect():
    predicted = np.arange(10.0)
    found = calibration_test(predicted, predicted)
    assert (found.slope.value, found.difference.value, found.p_value) == pytest.approx((1.0, 0.0, 1.0))


def test_somebody_who_alone_decides_the_slope_breaks_nothing():
    found = best_linear_predictor([1.0, 2.0, 3.0, 9.0], [0.0, 0.0, 0.0, 1.0])
    assert found.heterogeneity.value == pytest.approx(7.0)
    assert np.isfinite(found.heterogeneity.standard_error)


@pytest.mark.parametrize("measure", [best_linear_predictor, lambda g, p, **k: calibration_test(p, g, **k)])
def test_refuses_what_cannot_be_regressed(measure):
    with pytest.raises(ValueError, match="expected predictions that differ between people, found the same for all"):
        measure([1.0, 2.0, 3.0], [0.1, 0.1, 0.1 + 1e-15])
    with pytest.raises(ValueError, match="found the same for all"):
        measure([1.0, 2.0, 3.0], [0.1, 0.1, 0.5], weight=[1, 1, 0])
    with pytest.raises(ValueError, match="expected the same length"):
        measure([1.0, 2.0, 3.0], [0.1, 0.2])
    with pytest.raises(ValueError, match="expected finite numbers, found 1 missing"):
        measure([1.0, np.nan, 3.0], [0.1, 0.2, 0.3])
