"""Of two models the one whose effects come closer to what happened is found, also on a policy's own decisions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from propensity.evaluation import better_fit, effect_multiple


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


def decisions(rng: np.random.Generator, n: int, times: float) -> tuple[pd.DataFrame, tuple]:
    """Predicted effects of five actions that differ between people, and people on whom they are so many times that."""
    actions = ["control", *"abcde"]
    predicted = pd.DataFrame(rng.gamma(2, 0.02, (n, 5)), columns=actions[1:])
    chances = rng.dirichlet(np.full(6, 2.0), n)
    arm = (rng.random(n)[:, None] >= chances.cumsum(axis=1)[:, :-1]).sum(axis=1)
    true = np.column_stack([np.zeros(n), times * predicted.to_numpy()])
    outcome = (rng.random(n) < 0.03 + true[np.arange(n), arm]).astype(float)
    # what is expected without contact is off, as models are
    expected = pd.DataFrame(0.05 + np.column_stack([np.zeros(n), predicted.to_numpy()]), columns=actions)
    served = pd.Series(np.array(actions, dtype=object)[arm])
    return predicted, (outcome, served, pd.DataFrame(chances, columns=actions), expected)


def test_weights_count_as_so_many_equal_people():
    rng = np.random.default_rng(4)
    predicted, (outcome, served, propensity, expected) = decisions(rng, 600, 0.7)
    times = rng.integers(0, 3, 600)
    again = np.repeat(np.arange(600), times)

    def of(rows):
        known = (outcome[rows], served[rows], propensity.loc[rows], expected.loc[rows])
        return tuple(table.reset_index(drop=True) if hasattr(table, "reset_index") else table for table in known)

    every = np.arange(600)
    effects = [predicted, predicted * 0.5]
    repeated = better_fit(*of(again), [e.loc[again].reset_index(drop=True) for e in effects])
    assert better_fit(*of(every), effects, weight=times).value == pytest.approx(repeated.value)
    multiple = effect_multiple(*of(again), predicted.loc[again].reset_index(drop=True))
    assert effect_multiple(*of(every), predicted, times).value == pytest.approx(multiple.value)
    assert effect_multiple(*of(every), predicted, np.ones(600)) == pytest.approx(effect_multiple(*of(every), predicted))


@pytest.mark.parametrize("times", [0.0, 0.5, 1.0])
def test_the_interval_of_the_multiple_holds_the_true_one_in_95_of_100_cases(times):
    rng = np.random.default_rng(2)
    runs = 800
    found = []
    for _ in range(runs):
        predicted, known = decisions(rng, 1_500, times)
        found.append(effect_multiple(*known, predicted))
    holds = np.mean([x.low <= times <= x.high for x in found])
    above = np.mean([x.low > times for x in found])
    assert holds == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / runs))
    assert above == pytest.approx(0.025, abs=3 * np.sqrt(0.025 * 0.975 / runs))


def test_where_no_effect_is_predicted_there_is_no_multiple():
    predicted, known = decisions(np.random.default_rng(0), 100, 1.0)
    assert effect_multiple(*known, 0 * predicted) is None
