"""Propensities of data in which nobody logged them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from propensity.errors import InputError
from propensity.learners import DRLearner, OverlapWarning, estimated_propensity
from propensity.learners.basis import LinearBasis


def observational(n, seed=0, strength=1.0):
    """Who is young is called more often, and buys more anyway; a call adds 1 for everybody."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"youth": rng.normal(size=n), "plan": pd.Categorical(rng.choice(["a", "b"], n))})
    called = 1 / (1 + np.exp(-strength * X["youth"] - (X["plan"] == "a")))
    action = np.where(rng.random(n) < called, "call", "control")
    y = 2 * X["youth"] + (action == "call") + rng.normal(size=n)
    return X, action, y.to_numpy(), called


def test_recovers_the_chances_and_removes_the_bias_of_who_was_called():
    X, action, y, called = observational(4000)
    chances = estimated_propensity(X, action)
    assert list(chances.columns) == ["control", "call"]
    assert chances.sum(axis=1).to_numpy() == pytest.approx(1.0)
    assert abs(chances["call"] - called).mean() < 0.03
    naive = y[action == "call"].mean() - y[action == "control"].mean()
    assert naive > 2
    learner = DRLearner().fit(X, action, y, propensity=chances)
    assert learner.effect(X)["call"].mean() == pytest.approx(1.0, abs=0.15)


def test_each_row_is_scored_by_a_model_that_did_not_see_it(monkeypatch):
    X, action, _, _ = observational(400)
    seen: list[set[float]] = []
    fit = LinearBasis.fit.__func__

    def watched(cls, matrix, categorical):
        seen.append(set(matrix[:, 0]))
        return fit(cls, matrix, categorical)

    monkeypatch.setattr(LinearBasis, "fit", classmethod(watched))
    estimated_propensity(X, action, n_folds=4)
    everybody = set(X["youth"])
    left_out = [everybody - rows for rows in seen]
    assert sorted(len(rows) for rows in left_out) == [100] * 4
    assert set.union(*left_out) == everybody


def test_says_where_hardly_anybody_could_be_served():
    X, action, _, _ = observational(2000, strength=6.0)
    with pytest.warns(OverlapWarning, match=r"people were served an action of which they had a chance under 1%"):
        estimated_propensity(X, action)


@pytest.mark.parametrize(
    ("action", "sentence"),
    [
        (["control"] * 300, "at least one action, found only control"),
        (["call"] * 299, r"expected shape \(300,\) as X has rows, found \(299,\)"),
        (["control"] * 298 + ["call"] * 2, r"at least 5 rows an action, found call \(2\)"),
    ],
    ids=["only control", "short", "rare"],
)
def test_bad_input_is_refused_in_one_sentence(action, sentence):
    X, *_ = observational(300)
    with pytest.raises(InputError, match=sentence):
        estimated_propensity(X, action)
