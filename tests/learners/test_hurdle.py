"""What a returned customer brings."""

from __future__ import annotations

import numpy as np
import pytest

from propensity.learners.hurdle import AmountModel
from propensity.persistence import load_state, save_state


def fitted(X, amount, arm=None, n_actions=1):
    arm = np.zeros(len(amount), dtype=int) if arm is None else arm
    return AmountModel().fit(X, amount, arm, n_actions, [])


@pytest.fixture(scope="module")
def spenders():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 2))
    amount = np.where(rng.random(1500) < 0.8, np.exp(3 + X[:, 0] + 0.3 * rng.normal(size=1500)), 0.0)
    return X, amount, fitted(X, amount)


def test_amounts_that_differ_are_predicted_and_keep_their_mean(spenders):
    X, amount, model = spenders
    predicted = model.predict(X)
    assert model.varies_
    assert predicted.mean() == pytest.approx(amount.mean(), rel=0.01)
    assert np.corrcoef(predicted[:, 0], amount)[0, 1] > 0.7
    assert predicted.min() >= 0


def test_one_huge_amount_moves_the_mean_alone(spenders):
    X, amount, model = spenders
    huge = amount.copy()
    huge[3] = 1e6
    other = fitted(X, huge)
    assert other.mean_ == pytest.approx(huge.mean())
    assert np.corrcoef(other.predict(X)[:, 0], model.predict(X)[:, 0])[0, 1] > 0.98


def test_amounts_that_do_not_differ_give_the_mean():
    rng = np.random.default_rng(1)
    X, amount = rng.normal(size=(1500, 2)), rng.lognormal(3, 1, 1500)
    model = fitted(X, amount)
    assert not model.varies_
    assert model.predict(X) == pytest.approx(amount.mean())


@pytest.mark.parametrize("n", [0, 1, 50])
def test_few_amounts_give_the_mean(n):
    amount = np.arange(1.0, n + 1)
    predicted = fitted(np.zeros((n, 1)), amount).predict(np.zeros((3, 1)))
    assert predicted[:, 0] == pytest.approx([amount.mean() if n else 0.0] * 3)


def test_actions_whose_returned_customers_spend_less_are_worth_less():
    rng = np.random.default_rng(2)
    arm = rng.integers(0, 3, 6000)
    amount = np.array([1.0, 1.0, 0.5])[arm] * rng.lognormal(3, 0.5, 6000)
    factors = fitted(np.zeros((6000, 1)), amount, arm, 3).factors_
    assert factors[2] / factors[0] == pytest.approx(0.5, abs=0.05)
    assert factors[1] / factors[0] == pytest.approx(1.0, abs=0.05)


def test_actions_that_differ_by_chance_alone_are_drawn_together():
    rng = np.random.default_rng(3)
    arm = rng.integers(0, 8, 800)
    amount = rng.lognormal(3, 1.2, 800)
    factors = fitted(np.zeros((800, 1)), amount, arm, 8).factors_
    measured = [amount[arm == a].mean() / amount.mean() for a in range(8)]
    assert np.ptp(factors) < np.ptp(measured) / 2


def test_an_action_with_few_returns_has_no_factor_of_its_own():
    amount, arm = np.full(105, 10.0), np.r_[np.zeros(100, dtype=int), np.ones(5, dtype=int)]
    amount[100:] = 99.0
    assert fitted(np.zeros((105, 1)), amount, arm, 2).factors_[1] == 1.0


def test_saved_and_loaded_predicts_the_same(spenders, tmp_path):
    X, _, model = spenders
    save_state(model.to_state(), tmp_path / "amount")
    loaded = AmountModel().load_state(load_state(tmp_path / "amount"))
    assert (loaded.predict(X) == model.predict(X)).all()
    assert loaded.varies_
