"""Harm is judged by score intervals that are right for rare events."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.optimize import brentq, minimize_scalar
from scipy.special import xlogy

from propensity.errors import InputError
from propensity.inference import any_contact, guardrail, non_inferiority


def score(counts: tuple[int, int, int, int], d: float) -> float:
    """How far the difference lies above d, as a normal statistic; the likeliest shares and z are searched for."""
    x, n, y, m = counts

    def unlikely(p):
        return -(xlogy(x, p) + xlogy(n - x, 1 - p) + xlogy(y, p - d) + xlogy(m - y, 1 - p + d))

    bounds = (max(d, 0) + 1e-12, min(1, 1 + d) - 1e-12)
    p = minimize_scalar(unlikely, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
    q = p - d
    variance = (p * (1 - p) / n + q * (1 - q) / m) * (n + m) / (n + m - 1)
    skewness = (p * (1 - p) * (1 - 2 * p) / n**2 - q * (1 - q) * (1 - 2 * q) / m**2) / variance**1.5
    t = (x / n - y / m - d) / np.sqrt(variance)
    if skewness == 0:
        return t
    # the expansion turns at -3 / skewness: its rising branch
    ends = sorted([-3 / skewness, np.sign(skewness) * 50])
    return brentq(lambda z: z + skewness * (z**2 - 1) / 6 - t, *ends)


@pytest.mark.parametrize("counts", [(56, 70, 48, 80), (9, 10, 3, 10), (5, 56, 0, 29), (0, 10, 0, 10), (1, 900, 7, 400)])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_bounds_are_the_differences_that_lie_a_quantile_away(counts, level):
    found = non_inferiority(*counts, margin=0.0, level=level).difference
    z = stats.norm.ppf(0.5 + level / 2)
    assert score(counts, found.low) == pytest.approx(z, rel=1e-5)
    assert score(counts, found.high) == pytest.approx(-z, rel=1e-5)


@pytest.mark.parametrize("counts", [(3, 1_000, 1, 500), (50, 100, 49, 100), (5, 10_000, 9, 2_000)])
@pytest.mark.parametrize("margin", [0.003, 0.05])
def test_the_p_value_uses_the_likeliest_shares(counts, margin):
    expected = stats.norm.cdf(score(counts, margin))
    assert non_inferiority(*counts, margin=margin).p_value == pytest.approx(expected, rel=1e-4)


def test_verdict_and_p_value_agree():
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(200):
        found = non_inferiority(rng.binomial(5_000, 0.004), 5_000, rng.binomial(2_000, 0.002), 2_000, margin=0.003)
        assert (found.kept is True) == (found.p_value < 0.025)
        assert (found.kept is False) == (found.p_value > 0.975)
        assert found.difference.low < found.difference.value < found.difference.high
        seen.add(found.kept)
    assert {True, None} <= seen


def test_swapping_arms_turns_the_interval_round():
    one, other = non_inferiority(7, 900, 2, 400, margin=0), non_inferiority(2, 400, 7, 900, margin=0)
    assert one.difference.low == pytest.approx(-other.difference.high, abs=1e-9)


@pytest.mark.parametrize(
    ("base", "margin", "n", "m"), [(0.003, 0.002, 8_000, 2_000), (0.001, 0.001, 20_000, 5_000), (0.02, 0.01, 500, 500)]
)
def test_at_the_margin_harm_is_overlooked_as_rarely_as_stated(base, margin, n, m):
    # exact: for each count of the control, the largest of the arm that is still called kept
    chance = 0.0
    for y in range(int(stats.binom.ppf(1 - 1e-5, m, base)) + 1):

        def refused(x, y=y):
            return non_inferiority(x, n, y, m, margin=margin).p_value >= 0.025

        most = bisect_left(range(n), True, key=refused)
        chance += stats.binom.pmf(y, m, base) * stats.binom.cdf(most - 1, n, base + margin)
    assert chance == pytest.approx(0.025, abs=0.0015)


def test_no_event_at_all_is_shown_to_be_harmless_by_many_people_only():
    assert non_inferiority(0, 300, 0, 300, margin=0.005).kept is None
    assert non_inferiority(0, 30_000, 0, 30_000, margin=0.005).kept is True


def test_equal_chances_count_people_as_they_are():
    rng = np.random.default_rng(2)
    action = rng.choice(["control", "a", "b"], 3_000, p=[0.2, 0.3, 0.5])
    event = rng.random(3_000) < 0.02
    chances = pd.DataFrame(np.tile([0.2, 0.3, 0.5], (3_000, 1)), columns=["control", "a", "b"])
    labels, pair = any_contact(action, chances)
    found = guardrail(event, labels, pair, arm="any_contact", margin=0.01)
    contacted = action != "control"
    counts = event[contacted].sum(), contacted.sum(), event[~contacted].sum(), (~contacted).sum()
    assert found.difference == pytest.approx(non_inferiority(*counts, margin=0.01).difference, abs=1e-9)


def test_unequal_chances_leave_no_bias_and_keep_the_error():
    rng = np.random.default_rng(3)
    n, kept, differences = 4_000, [], []
    risky = rng.random(n) < 0.3
    chance = np.where(risky, 0.8, 0.3)
    chances = pd.DataFrame({"control": 1 - chance, "mail": chance})
    margin = 0.005
    for _ in range(500):
        sent = rng.random(n) < chance
        event = rng.random(n) < np.where(risky, 0.03, 0.005) + margin * sent
        found = guardrail(event, np.where(sent, "mail", "control"), chances, arm="mail", margin=margin)
        kept.append(found.kept is True)
        differences.append(found.difference.value)
    assert np.mean(differences) == pytest.approx(margin, abs=4 * np.std(differences) / np.sqrt(500))
    assert np.mean(kept) <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / 500)


@pytest.mark.parametrize(
    ("counts", "margin", "message"),
    [((3, 2, 0, 5), 0.1, "events from 0"), ((0, 0, 0, 5), 0.1, "events from 0"), ((0, 5, 0, 5), -0.1, "margin")],
)
def test_counts_that_cannot_be_are_refused(counts, margin, message):
    with pytest.raises(InputError, match=message):
        non_inferiority(*counts, margin=margin)
