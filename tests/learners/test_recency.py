"""Older decisions count less only where that predicts the newest ones better."""

import numpy as np
import pandas as pd
import pytest

from propensity.learners import recency as module
from propensity.learners.recency import HALF_LIVES_DAYS, LEVEL, Recency, recency, recency_of
from propensity.learners.sample import check_sample, factor_codes

ACTIONS = ["control", "a", "b", "c"]


def decisions(seed: int, *, changed: bool, by_policy: bool = False, days: float = 360.0, n: int = 6_000):
    """Twelve monthly waves; from the seventh on, if something changes, `a` works for the others."""
    rng = np.random.default_rng(seed)
    age = np.sort(np.repeat(np.linspace(days, 0, 12), n // 12))[::-1].copy()
    x = rng.normal(size=n)
    works = np.where(changed & (age < days / 2), x < 0, x > 0)
    effect = np.column_stack([np.zeros(n), 0.6 * works - 0.2, np.full(n, 0.05), np.full(n, -0.05)])
    chances = np.full((n, 4), 0.25)
    if by_policy:
        chances = np.where(x[:, None] > 0, [0.1, 0.8, 0.05, 0.05], [0.1, 0.05, 0.8, 0.05])
    arm = (rng.random(n)[:, None] >= chances.cumsum(axis=1)[:, :-1]).sum(axis=1)
    y = effect[np.arange(n), arm] + rng.normal(0, 0.5, n)
    propensity = pd.DataFrame(chances, columns=ACTIONS)
    served = pd.Series(np.array(ACTIONS)[arm])
    return check_sample(pd.DataFrame({"x": x}), served, y, propensity), age, factor_codes(None, ACTIONS)


@pytest.mark.parametrize("by_policy", [False, True])
def test_a_change_is_found_whoever_decided(by_policy):
    found = recency(*decisions(0, changed=True, by_policy=by_policy), seed=0)
    assert found.half_life_days in HALF_LIVES_DAYS
    assert found.gain.low > 0
    assert f"after {found.half_life_days:g} days" in found.sentence


@pytest.mark.slow
@pytest.mark.parametrize("by_policy", [False, True])
def test_where_nothing_changes_all_count_alike(by_policy):
    runs = 60
    found = [recency(*decisions(k, changed=False, by_policy=by_policy, n=4_200), seed=k) for k in range(runs)]
    false = np.mean([x.half_life_days is not None for x in found])
    assert false <= LEVEL + 3 * np.sqrt(LEVEL * (1 - LEVEL) / runs)
    assert "does not predict the newest better" in next(x for x in found if x.half_life_days is None).sentence


def test_within_two_months_nothing_is_old():
    found = recency(*decisions(0, changed=True, days=50), seed=0)
    assert found == Recency(None, None)
    assert "too close together" in found.sentence


def test_few_decisions_cannot_tell():
    assert recency(*decisions(0, changed=True, n=1_200), seed=0).gain is None


def test_of_very_many_decisions_some_tell(monkeypatch):
    sample, age, _ = decisions(0, changed=True)
    known = (pd.DataFrame({"x": sample.X[:, 0]}), pd.Series(np.array(ACTIONS)[sample.arm]), sample.y)
    propensity = pd.DataFrame(sample.propensity, columns=ACTIONS)
    monkeypatch.setattr(module, "MOST_ROWS", 4_500)
    found = recency_of(*known, propensity, age, None, seed=0)
    assert found.half_life_days in HALF_LIVES_DAYS
    assert found.gain.n < 4_500 / 2
    # an action of which too few are among them leaves it open
    monkeypatch.setattr(module, "MOST_ROWS", 150)
    assert recency_of(*known, propensity, age, None, seed=0) == Recency(None, None)


def test_a_decision_counts_half_after_each_half_life():
    np.testing.assert_allclose(Recency(60.0, None).weights(np.array([0.0, 60.0, 120.0])), [1.0, 0.5, 0.25])
    np.testing.assert_array_equal(Recency(None, None).weights(np.array([0.0, 600.0])), [1.0, 1.0])
