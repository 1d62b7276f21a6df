"""Shares and counts now against before."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from propensity.inference import fewer_events, rate_change


def test_one_stratum_is_a_comparison_of_two_shares():
    found = rate_change(np.array([[30, 200]]), np.array([[120, 400]]))
    assert (found.now, found.before, found.difference) == pytest.approx((0.15, 0.3, -0.15))
    table = [[30, 170], [120, 280]]
    chi2 = stats.chi2_contingency(table, correction=False).statistic * (600 - 1) / 600
    assert found.p_value == pytest.approx(stats.chi2.sf(chi2, 1))
    assert found.low < -0.15 < found.high < 0


def test_another_mix_of_channels_is_no_change():
    now, before = np.array([[50, 500], [50, 100]]), np.array([[10, 100], [250, 500]])
    found = rate_change(now, before)
    assert found.difference == pytest.approx(0)
    assert found.p_value == pytest.approx(1)
    assert found.before == pytest.approx(found.now)


def test_shares_are_those_of_the_people_of_now():
    found = rate_change(np.array([[60, 500], [30, 100]]), np.array([[5, 100], [250, 500]]))
    assert found.now == pytest.approx(90 / 600)
    assert found.before == pytest.approx((500 * 0.05 + 100 * 0.5) / 600)


def test_strata_of_one_time_only_do_not_count():
    assert rate_change(np.array([[5, 10], [0, 0]]), np.array([[0, 0], [4, 9]])) is None
    assert rate_change(np.array([[5, 10], [0, 0]]), np.array([[5, 10], [4, 9]])).n_before == 10


def test_changes_are_declared_as_rarely_as_stated_and_intervals_hold_the_truth():
    rng = np.random.default_rng(1)
    n, m, shares = np.array([300, 80, 40]), np.array([900, 500, 60]), np.array([0.2, 0.05, 0.6])
    runs = 1_000
    found = [
        rate_change(np.column_stack([rng.binomial(n, shares), n]), np.column_stack([rng.binomial(m, shares), m]))
        for _ in range(runs)
    ]
    assert np.mean([f.p_value < 0.05 for f in found]) == pytest.approx(0.05, abs=0.02)
    assert np.mean([f.low <= 0 <= f.high for f in found]) == pytest.approx(0.95, abs=0.02)


def test_the_chance_of_no_event_by_hand():
    # 12 and 6 events before; a third and a half of the exposure is of now
    found = fewer_events(np.array([[0, 100], [0, 50]]), np.array([[12, 200], [6, 50]]))
    assert found.expected == pytest.approx(6 + 6)
    assert found.p_value == pytest.approx((2 / 3) ** 12 * 0.5**6)


def test_sums_over_strata_are_exact():
    now, before = np.array([[2, 100.0], [1, 50.0], [3, 10.0]]), np.array([[12, 200.0], [6, 50.0], [9, 40.0]])
    total, share = (now + before)[:, 0], now[:, 1] / (now + before)[:, 1]
    rng = np.random.default_rng(0)
    drawn = rng.binomial(total.astype(int), share, size=(200_000, 3)).sum(axis=1)
    assert fewer_events(now, before).p_value == pytest.approx((drawn <= 6).mean(), abs=0.003)


def test_many_events_and_few_agree():
    now, before = np.array([[940, 1_000.0]]), np.array([[1_020, 1_000.0]])
    exact = stats.binom.cdf(940, 1_960, 0.5)
    assert fewer_events(now, before).p_value == pytest.approx(exact, rel=1e-9)
    more = fewer_events(10 * now, 10 * before)
    assert more.p_value == pytest.approx(stats.binom.cdf(9_400, 19_600, 0.5), rel=0.02)


def test_as_many_as_before_is_no_loss():
    assert fewer_events(np.array([[10, 100]]), np.array([[10, 100]])).p_value == 1
