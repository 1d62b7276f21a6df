"""Of two models the one whose effects come closer to what happened is found, also on a policy's own decisions."""

from __future__ import annotations

import numpy as np
import pandas as pd

from propensity.evaluation import better_fit


def test_better_effects_fit_better_under_a_policy_that_gives_nearly_everybody_the_same():
    """People get what the champion prefers but in one of twenty cases; the challenger knows better for half of them."""
    rng = np.random.default_rng(1)
    n = 20_000
    group = rng.random(n) < 0.5
    true = np.column_stack([np.where(group, 0.1, 0.02), np.where(group, 0.02, 0.1)])
    chances = np.tile([0.1, 0.85, 0.05], (n, 1))
    arm = (rng.random(n)[:, None] >= chances.cumsum(axis=1)[:, :-1]).sum(axis=1)
    outcome = rng.random(n) < 0.03 + np.where(arm > 0, true[np.arange(n), np.maximum(arm - 1, 0)], 0)
    actions = ["control", "a", "b"]
    served, outcome = pd.Series(np.array(actions, dtype=object)[arm]), outcome.astype(float)
    propensity = pd.DataFrame(chances, columns=actions)
    expected = pd.DataFrame({"control": 0.03, "a": 0.09, "b": 0.09}, index=range(n))
    right, alike = pd.DataFrame(true, columns=["a", "b"]), pd.DataFrame({"a": np.full(n, 0.06), "b": 0.06})
    assert better_fit(outcome, served, propensity, expected, [right, alike]).low > 0
    assert better_fit(outcome, served, propensity, expected, [alike, right]).high < 0
    flipped = right.assign(a=-right["a"])
    assert better_fit(outcome, served, propensity, expected, [flipped, right]).high < 0
    assert better_fit(outcome, served, propensity, expected, [right, right.copy()]) is None
