"""What a returned customer brings."""

from __future__ import annotations

import numpy as np
import pytest

from propensity.learners.hurdle import AmountModel
from propensity.persistence import load_state, save_state


@pytest.fixture(scope="module")
def spenders():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 2))
    amount = np.where(rng.random(1500) < 0.8, np.exp(3 + X[:, 0] + 0.3 * rng.normal(size=1500)), 0.0)
    return X, amount, AmountModel().fit(X, amount, [])


def test_amounts_that_differ_are_predicted_and_keep_their_mean(spenders):
    X, amount, model = spenders
    predicted = model.predict(X)
    assert model.varies_
    assert predicted.mean() == pytest.approx(amount.mean(), rel=0.01)
    assert np.corrcoef(predicted, amount)[0, 1] > 0.7
    assert predicted.min() >= 0


def test_one_huge_amount_moves_the_mean_alone(spenders):
    X, amount, model = spenders
    huge = amount.copy()
    huge[3] = 1e6
    other = AmountModel().fit(X, huge, [])
    assert other.mean_ == pytest.approx(huge.mean())
    assert np.corrcoef(other.predict(X), model.predict(X))[0, 1] > 0.98


def test_amounts_that_do_not_differ_give_the_mean():
    rng = np.random.default_rng(1)
    X, amount = rng.normal(size=(1500, 2)), rng.lognormal(3, 1, 1500)
    model = AmountModel().fit(X, amount, [])
    assert not model.varies_
    assert (model.predict(X) == amount.mean()).all()


@pytest.mark.parametrize("n", [0, 1, 50])
def test_few_amounts_give_the_mean(n):
    amount = np.arange(1.0, n + 1)
    predicted = AmountModel().fit(np.zeros((n, 1)), amount, []).predict(np.zeros((3, 1)))
    assert predicted.tolist() == [amount.mean() if n else 0.0] * 3


def test_saved_and_loaded_predicts_the_same(spenders, tmp_path):
    X, _, model = spenders
    save_state(model.to_state(), tmp_path / "amount")
    loaded = AmountModel().load_state(load_state(tmp_path / "amount"))
    assert (loaded.predict(X) == model.predict(X)).all()
    assert loaded.varies_
