"""Harm is judged by score intervals that are right for rare events."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.optimize import minimize_scalar
from scipy.special import xlogy

from propensity.errors import InputError
from propensity.inference import any_contact, guardrail, non_inferiority


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        # Newcombe (1998), Interval estimation for the difference between independent proportions, Statistics in
        # Medicine 17, table II, method 6 (Miettinen and Nurminen)
        ((56, 70, 48, 80), 0.0528, 0.3382),
        ((9, 10, 3, 10), 0.1700, 0.8406),
        ((5, 56, 0, 29), -0.0326, 0.1933),
        ((0, 10, 0, 10), -0.2879, 0.2879),
    ],
)
def test_published_intervals(counts, low, high):
    found = non_inferiority(*counts, margin=0.0).difference
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


@pytest.mark.parametrize("counts", [(3, 1_000, 1, 500), (50, 100, 49, 100), (5, 10_000, 9, 2_000)])
@pytest.mark.parametrize("margin", [0.003, 0.05])
def test_the_p_value_uses_the_likeliest_shares(counts, margin):
    x, n, y, m = counts

    def unlikely(p):
        q = p - margin
        return -(xlogy(x, p) + xlogy(n - x, 1 - p) + xlogy(y, q) + xlogy(m - y, 1 - q))

    p = minimize_scalar(unlikely, bounds=(margin + 1e-12, 1 - 1e-12), method="bounded", options={"xatol": 1e-12}).x
    q = p - margin
    error = np.sqrt((p * (1 - p) / n + q * (1 - q) / m) * (n + m) / (n + m - 1))
    expected = stats.norm.cdf((x / n - y / m - margin) / error)
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


def test_at_the_margin_harm_is_overlooked_as_rarely_as_stated():
    rng = np.random.default_rng(1)
    base, margin, n, m = 0.003, 0.002, 8_000, 2_000
    pairs = np.column_stack([rng.binomial(n, base + margin, 2_000), rng.binomial(m, base, 2_000)])
    kept = np.mean([non_inferiority(x, n, y, m, margin=margin).kept is True for x, y in pairs])
    assert kept <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / 2_000)


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
