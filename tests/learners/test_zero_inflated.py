"""Learners of revenue."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from learner_cases import OUTCOME_TREES

from propensity.errors import InputError
from propensity.learners import HurdleLearner, SLearner, UpliftStack, WinsorisedLearner
from propensity.learners.saved import learner_from_state
from propensity.learners.zero_inflated import is_zero_inflated
from propensity.persistence import load_state, save_state


@pytest.fixture(scope="module")
def shop():
    """Calls make those with much taste buy more often; amounts are heavy-tailed."""
    rng = np.random.default_rng(0)
    n = 6000
    X = pd.DataFrame({"taste": rng.normal(size=n), "size": rng.normal(size=n)})
    action = rng.choice(["control", "call"], n)
    buys = 0.1 + 0.3 * (action == "call") * (X["taste"] > 0)
    mean = 10 * np.exp(0.3 * X["size"])
    y = (rng.random(n) < buys) * mean * rng.lognormal(-0.125, 0.5, n)
    return X, action, y.to_numpy(), (0.3 * (X["taste"] > 0) * mean).to_numpy()


@pytest.mark.parametrize("learner", [HurdleLearner(), WinsorisedLearner()], ids=repr)
def test_finds_who_buys_more(shop, learner, tmp_path):
    X, action, y, truth = shop
    effect = learner.fit(X, action, y).effect(X)["call"]
    assert np.corrcoef(effect, truth)[0, 1] > 0.5
    assert effect.mean() == pytest.approx(truth.mean(), rel=0.5)
    save_state(learner.to_state(), tmp_path / "saved")
    loaded = learner_from_state(load_state(tmp_path / "saved"))
    pd.testing.assert_frame_equal(loaded.effect(X), learner.effect(X), check_exact=True)
    pd.testing.assert_frame_equal(loaded.outcome(X), learner.outcome(X), check_exact=True)


def test_one_huge_amount_moves_a_winsorised_learner_little(shop):
    X, action, y, _ = shop
    huge = y.copy()
    huge[np.argmax((action == "call") & (y > 0))] = 1e6
    winsorised, plain = WinsorisedLearner(SLearner(0, OUTCOME_TREES)), SLearner(0, OUTCOME_TREES)

    def moved(learner):
        return abs(learner.fit(X, action, huge).effect(X) - learner.fit(X, action, y).effect(X)).to_numpy().mean()

    assert moved(winsorised) < 0.5
    assert moved(plain) > 10 * moved(winsorised)


def test_a_hurdle_refuses_returned_money(shop):
    X, action, y, _ = shop
    with pytest.raises(InputError, match="expected amounts of at least 0, found 2 below"):
        HurdleLearner().fit(X, action, np.r_[-1.0, -2.0, y[2:]])


def test_the_stack_lets_versions_for_revenue_compete(shop):
    X, action, y, truth = (part[:3_000] for part in shop)
    stack = UpliftStack(0).fit(X, action, y)
    assert set(stack.weights_) == {"SLearner", "HurdleLearner", "WinsorisedLearner", "WinsorisedLearner 2"}
    assert stack.heterogeneity_.supported
    assert np.corrcoef(stack.effect(X)["call"], truth)[0, 1] > 0.5


@pytest.mark.parametrize(
    ("y", "expected"),
    [([0, 0, 0, 5, 7], True), ([0, 0, 0, 1, 1], False), ([0, 5, 6, 7], False), ([0, 0, 0, -5, 7], False), ([0], False)],
)
def test_revenue_is_told_from_other_outcomes(y, expected):
    assert is_zero_inflated(np.array(y, dtype=float)) == expected
